//! The URL that names an issuer.
//! Not here: fetching anything from it.

use crate::IdentityError;
use crate::text::{bounded, word};

/// RFC 8414 §2: https, no query, no fragment. Plain http only to this machine, for development.
fn issuer_url(kind: &'static str, text: &str) -> Result<(), IdentityError> {
    bounded(kind, text, 512)?;
    let refuse = |rule| Err(IdentityError::form(kind, text, rule));
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['?', '#', '@', '\\', '%']) {
        return refuse("no query, fragment, user, escape or space");
    }
    let Some((scheme @ ("https" | "http"), rest)) = text.split_once("://") else {
        return refuse("it starts with `https://`");
    };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    if authority.is_empty() || authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return refuse("the host is lower-case and not empty");
    }
    if path.is_some_and(|path| path.split('/').any(|segment| matches!(segment, "." | ".."))) {
        return refuse("no `.` or `..` in the path");
    }
    if scheme == "http" && !is_loopback(authority) {
        return refuse("plain http is for 127.0.0.1, [::1] and localhost only");
    }
    Ok(())
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

word!(
    /// The issuer identifier of an authorization server, compared byte by byte (RFC 8414 §2, RFC 9207 §2.4).
    IssuerUrl, "issuer URL", issuer_url
);

impl IssuerUrl {
    /// Whether the issuer is reached without TLS, which only a development set-up allows.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.as_str().starts_with("http://")
    }

    /// The URL of `path` (starting with a slash) at this issuer, appended to the issuer's own path.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_and_http_on_this_machine() {
        for good in [
            "https://broker.example.com",
            "https://broker.example.com/tenant/a",
            "https://10.0.0.1:8443",
            "http://127.0.0.1:8700",
            "http://[::1]:8700",
            "http://localhost",
        ] {
            assert!(IssuerUrl::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            "",
            "broker.example.com",
            "http://broker.example.com",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "https://",
            "https://Broker.example.com",
            "https://a.example/?x",
            "https://a.example/#x",
            "https://u@a.example/",
            "https://a.example/../b",
            "https://a.example/%2e",
            "https://a.example/ b",
            "ftp://a.example",
            "file:///etc/passwd",
        ] {
            assert!(IssuerUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
