//! The name of a claim that a configuration may add to a token.
//! Not here: its value, and the claims that have a meaning of their own, which nobody may add.

use std::fmt;

/// The names with a meaning that somebody relies on: of a token (RFC 7519 §4.1, RFC 8693 §4, RFC 7800, RFC 9068,
/// OpenID Connect), of an introspection answer (RFC 7662 §2.2), and what others read as scopes or authorization.
const RESERVED: [&str; 33] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "scope",
    "scp",
    "client_id",
    "azp",
    "cnf",
    "act",
    "may_act",
    "lineage",
    "typ",
    "nonce",
    "sid",
    "sub_id",
    "events",
    "txn",
    "auth_time",
    "acr",
    "amr",
    "at_hash",
    "c_hash",
    "active",
    "username",
    "token_type",
    "authorization_details",
    "status",
    "vc",
    "vp",
];

/// The longest name.
const LIMIT: usize = 128;

/// The name of an extra claim: printable ASCII without quotes and spaces, and not one that has a meaning already.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimName(String);

/// Why a name is none that may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimNameError {
    /// It is empty, too long, or holds something else than printable ASCII.
    #[error(
        "a claim's name is 1 to {LIMIT} printable ASCII characters without spaces, quotes and backslashes"
    )]
    Form,
    /// It has a meaning already.
    #[error("this claim has a meaning of its own and cannot be set here")]
    Reserved,
}

impl ClaimName {
    /// The name with this text.
    ///
    /// # Errors
    /// [`ClaimNameError`] if the text is no name or a reserved one, in any case: some readers fold it.
    pub fn parse(text: &str) -> Result<Self, ClaimNameError> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
        if text.is_empty() || text.len() > LIMIT || !text.bytes().all(plain) {
            return Err(ClaimNameError::Form);
        }
        if RESERVED.iter().any(|name| name.eq_ignore_ascii_case(text)) {
            return Err(ClaimNameError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::KNOWN;
    use super::*;

    #[test]
    fn a_claim_with_a_meaning_cannot_be_added() {
        for name in KNOWN.iter().chain(&RESERVED) {
            assert_eq!(ClaimName::parse(name), Err(ClaimNameError::Reserved), "{name}");
            assert_eq!(ClaimName::parse(&name.to_uppercase()), Err(ClaimNameError::Reserved), "{name}");
        }
        for name in ["tenant", "https://example.com/tier", "roles", "k8s.namespace"] {
            assert_eq!(ClaimName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", " ", "a b", "a\"", "a'", "a\\", "ä", "a\n", &"a".repeat(129)] {
            assert_eq!(ClaimName::parse(name), Err(ClaimNameError::Form), "{name:?}");
        }
    }
}
