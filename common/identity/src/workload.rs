//! SPIFFE trust domains and workload ids.
//! Not here: proof that a workload has the id it claims.

use std::sync::Arc;

use crate::IdentityError;
use crate::text::{bounded, text_impls, word};

/// SPIFFE-ID §2.1: lower-case letters, digits, `.`, `-`, `_`; at most 255 bytes.
fn trust_domain(kind: &'static str, text: &str) -> Result<(), IdentityError> {
    bounded(kind, text, 255)?;
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
    if text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(IdentityError::form(kind, text, "use a-z, 0-9, `.`, `-`, `_`"))
    }
}

word!(
    /// The name of a SPIFFE trust domain (SPIFFE-ID §2.1).
    TrustDomain, "trust domain", trust_domain
);

/// A workload's SPIFFE ID: `spiffe://<trust domain>/<path>` (SPIFFE-ID §2).
///
/// The path is never empty, and its segments hold only `[A-Za-z0-9._-]`, so two different texts never name one workload.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId {
    text: Arc<str>,
    path_start: usize,
}

const KIND: &str = "workload id";
const SCHEME: &str = "spiffe://";

impl WorkloadId {
    /// At most this many bytes make one id (SPIFFE-ID §2.3).
    pub const LIMIT: usize = 2048;

    /// The id of the workload at `path` (without a leading slash) in `domain`.
    ///
    /// # Errors
    /// [`IdentityError`] if the path is empty or too long, or a segment is empty, `.`, `..` or holds another character than `[A-Za-z0-9._-]`.
    pub fn new(domain: &TrustDomain, path: &str) -> Result<Self, IdentityError> {
        Self::parse(&format!("{SCHEME}{domain}/{path}"))
    }

    /// Parses `spiffe://<trust domain>/<path>`.
    ///
    /// # Errors
    /// [`IdentityError`] if the scheme, the trust domain or a path segment is malformed.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        bounded(KIND, text, Self::LIMIT)?;
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| IdentityError::form(KIND, text, "it starts with `spiffe://`"))?;
        let (domain, path) = rest
            .split_once('/')
            .ok_or_else(|| IdentityError::form(KIND, text, "a workload has a path after its trust domain"))?;
        trust_domain("trust domain", domain)?;
        if !path.split('/').all(is_segment) {
            return Err(IdentityError::form(
                KIND,
                text,
                "path segments hold a-z, A-Z, 0-9, `.`, `_`, `-` and are not empty, `.` or `..`",
            ));
        }
        Ok(Self { text: text.into(), path_start: text.len() - path.len() })
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.path_start - 1).unwrap_or_default()
    }

    /// The path without its leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.path_start..).unwrap_or_default()
    }
}

fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}

text_impls!(WorkloadId, "SPIFFE ID");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_knows_its_parts() {
        let id = WorkloadId::parse("spiffe://example.com/unix/uid/1000").unwrap();
        assert_eq!((id.trust_domain(), id.path()), ("example.com", "unix/uid/1000"));
    }

    #[test]
    fn ids_that_could_be_spelled_twice_are_refused() {
        for bad in [
            "spiffe://example.com",
            "spiffe://example.com/",
            "spiffe://Example.com/a",
            "spiffe:///a",
            "SPIFFE://example.com/a",
            "https://example.com/a",
            "spiffe://example.com/a//b",
            "spiffe://example.com/a/",
            "spiffe://example.com/../b",
            "spiffe://example.com/./b",
            "spiffe://example.com/a%2Fb",
            "spiffe://example.com/a b",
            "spiffe://example.com/a?b",
            "spiffe://example.com/a#b",
            "spiffe://example.com:80/a",
            "spiffe://u@example.com/a",
            "spiffe://example.com/ä",
            "spiffe://example.com/a\0",
        ] {
            assert!(WorkloadId::parse(bad).is_err(), "{bad}");
        }
    }
}
