//! The header firewall: which header names are ours in any spelling, and so never pass from a client to an API.
//! Not here: the values that are set instead (`caller.rs`), and hop-by-hop headers (`symbolon-http`).

use http::HeaderMap;
use http::header::HeaderName;

/// What to do with a header that a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ours, or one that frameworks read instead of the real path, method or peer: removed from every request.
    Reserved,
    /// A credential in its exact spelling: removed unless the route says `forward_credential: true`.
    Credential,
    /// Everything else: forwarded.
    Plain,
}

/// Headers that some framework takes for the real path, method, host, peer or user; we trust no client's.
const REWRITES: &[&str] = &[
    "client-ip",
    "forwarded",
    "proxy",
    "remote-user",
    "true-client-ip",
    "x-auth-reason",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-original-path",
    "x-forwarded",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    "x-request-id",
    "x-rewrite-url",
];

const RESERVED_PREFIXES: &[&str] = &["x-workload-", "x-forwarded-", "symbolon-"];

const CREDENTIALS: &[&str] = &["authorization", "dpop", "txn-token"];

/// Removes from a client's headers or trailers all that the API must not take for ours.
///
/// Must run before our own headers are set. Returns how many names were removed.
pub fn strip(headers: &mut HeaderMap, forward_credential: bool) -> usize {
    let removed: Vec<HeaderName> =
        headers.keys().filter(|name| !passes(name, forward_credential)).cloned().collect();
    for name in &removed {
        headers.remove(name);
    }
    removed.len()
}

/// Whether a client's header of this name may reach the API.
#[must_use]
pub fn passes(name: &HeaderName, forward_credential: bool) -> bool {
    match kind(name.as_str()) {
        Kind::Plain => true,
        Kind::Credential => forward_credential,
        Kind::Reserved => false,
    }
}

/// Whether a header of this name is a credential in a place that is not read, or the twin of one in another spelling.
#[must_use]
pub fn is_credential_elsewhere(name: &HeaderName) -> bool {
    let name = name.as_str();
    let read_here = matches!(name, "authorization" | "dpop");
    !read_here && (CREDENTIALS.iter().any(|known| folds_to(name, known)) || is_workload_token(name))
}

/// `HeaderName` is lower-case already; what is left to fold is everything but letters and digits: CGI, WSGI and some
/// proxies turn `_`, `.` or any such byte into one (CVE-2026-39858 and its follow-ups).
fn kind(name: &str) -> Kind {
    let exact = !name.bytes().any(is_alias);
    // Only a few initials can begin a name that matters; this keeps the usual request to one look per header.
    match name.bytes().find(|byte| *byte != b'-' && !is_alias(*byte)) {
        Some(b'a' | b'c' | b'd' | b'f' | b'p' | b'r' | b's' | b't' | b'w' | b'x') => {}
        _ => return Kind::Plain,
    }
    let credential = CREDENTIALS.iter().any(|known| folds_to(name, known)) || is_workload_token(name);
    if credential {
        return if exact { Kind::Credential } else { Kind::Reserved };
    }
    let reserved = REWRITES.iter().any(|known| folds_to(name, known))
        || RESERVED_PREFIXES.iter().any(|prefix| starts_folded(name, prefix));
    if reserved { Kind::Reserved } else { Kind::Plain }
}

fn is_alias(byte: u8) -> bool {
    byte != b'-' && !byte.is_ascii_alphanumeric()
}

fn fold(byte: u8) -> u8 {
    if is_alias(byte) { b'-' } else { byte.to_ascii_lowercase() }
}

fn folds_to(name: &str, known: &str) -> bool {
    name.len() == known.len() && starts_folded(name, known)
}

fn starts_folded(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len()
        && name.bytes().map(fold).zip(prefix.bytes()).all(|(given, wanted)| given == wanted)
}

/// `Workload-Identity-Token`, `Workload-Proof-Token` and their kin (WIMSE).
fn is_workload_token(name: &str) -> bool {
    let suffix = b"-token";
    let ends = name.bytes().rev().map(fold).zip(suffix.iter().rev().copied()).filter(|(a, b)| a == b).count();
    starts_folded(name, "workload-") && ends == suffix.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn name(text: &str) -> HeaderName {
        HeaderName::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_spelling_of_our_names_is_removed() {
        for spoof in [
            "X-Workload-Id",
            "x-workload-id",
            "X_Workload_Id",
            "x_workload-id",
            "x-workload.id",
            "X.WORKLOAD.ID",
            "x-workload-subject",
            "X_WORKLOAD_SUBJECT",
            "x-workload-issuer",
            "x-workload-audience",
            "x-workload-scope",
            "x-workload-actors",
            "x-workload-token",
            "x-workload-anything-else",
            "x-request-id",
            "X_Request_Id",
            "x.request.id",
            "x-auth-reason",
            "X~Workload~Id",
            "x!workload!id",
            "x-forwarded^uri",
            "Proxy",
            "symbolon-stream",
            "Symbolon_Stream",
            "txn_token",
            "workload_identity_token",
            "workload-identity.token",
            "x-forwarded-for",
            "x_forwarded_host",
            "x-forwarded-uri",
            "x-forwarded-prefix",
            "forwarded",
            "x-original-url",
            "x-rewrite-url",
            "x-envoy-original-path",
            "x-http-method-override",
            "X_HTTP_METHOD_OVERRIDE",
            "X-Forwarded",
            "Client-IP",
            "client_ip",
            "X-Client-IP",
            "True-Client-IP",
            "X-Cluster-Client-IP",
            "Remote-User",
            "REMOTE_USER",
            "X-Remote-User",
            "x.remote.user",
        ] {
            assert!(!passes(&name(spoof), true), "{spoof}");
        }
    }

    #[test]
    fn credentials_pass_only_when_the_route_says_so() {
        for credential in
            ["Authorization", "DPoP", "Txn-Token", "Workload-Identity-Token", "Workload-Proof-Token"]
        {
            assert!(!passes(&name(credential), false), "{credential}");
            assert!(passes(&name(credential), true), "{credential}");
        }
    }

    #[test]
    fn other_headers_pass() {
        for plain in [
            "accept",
            "cookie",
            "x-api-version",
            "x-request",
            "workload",
            "token",
            "dpop-nonce",
            "x-workloads",
            "x-forwardedness",
            "content-type",
            "client",
            "referer",
            "remote-users",
        ] {
            assert!(passes(&name(plain), false), "{plain}");
        }
    }

    #[test]
    fn the_look_at_initials_leaves_out_no_name_that_matters() {
        let prefixes = RESERVED_PREFIXES.iter().map(|prefix| format!("{prefix}a"));
        for known in REWRITES.iter().map(ToString::to_string).chain(prefixes) {
            assert_eq!(kind(&known), Kind::Reserved, "{known}");
        }
        for known in CREDENTIALS.iter().chain(&["workload-a-token"]) {
            assert_eq!(kind(known), Kind::Credential, "{known}");
        }
    }

    #[test]
    fn all_copies_go_at_once() {
        let mut headers = HeaderMap::new();
        for _ in 0..3 {
            headers.append("x_workload_id", HeaderValue::from_static("root"));
            headers.append("X-Workload-Id", HeaderValue::from_static("root"));
            headers.append("accept", HeaderValue::from_static("*/*"));
        }
        assert_eq!(strip(&mut headers, false), 2);
        assert_eq!(headers.len(), 3);
    }
}
