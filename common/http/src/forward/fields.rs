//! Header fields that belong to one connection and not to the message.
//! Not the header firewall, which knows what a program vouches for.

use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

/// RFC 9110 §7.6.1, RFC 7540 §3.2.1 (`HTTP2-Settings`), and the fields between a client and its proxy.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Removes the fields of the connection: those we know, and those that `Connection` names.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Almost always empty, and then without an allocation.
    let naming: Vec<HeaderValue> =
        headers.get_all(header::CONNECTION).iter().filter(|value| names_fields(value)).cloned().collect();
    for value in &naming {
        for name in tokens(value) {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The fields that end here, our own list and those that `Connection` names (RFC 9110 §7.6.1): nothing may depend on them
/// that is about what the API gets. `Upgrade` is another matter: an upgrade that is let through reaches the API.
#[must_use]
pub fn ending_here(headers: &HeaderMap) -> Vec<HeaderName> {
    let naming = headers.get_all(header::CONNECTION).iter().filter(|value| names_fields(value));
    let named = naming.flat_map(tokens).filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    let known = HOP_BY_HOP.into_iter().chain([header::TRAILER, header::EXPECT]);
    named.chain(known).filter(|name| name != header::UPGRADE).collect()
}

/// Whether the client can take trailers (RFC 9110 §10.1.4).
pub(super) fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case("trailers")))
}

/// Makes one field of several `cookie` fields, as RFC 9113 §8.2.3 demands on the way from HTTP/2 to HTTP/1.1.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() < 2 {
        return;
    }
    // INVARIANT: what joins valid values is a valid value.
    if let Ok(joined) = HeaderValue::from_bytes(&cookies.join(b"; ".as_slice())) {
        headers.insert(header::COOKIE, joined);
    }
}

fn names_fields(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    !value.eq_ignore_ascii_case(b"keep-alive") && !value.eq_ignore_ascii_case(b"close")
}

/// The members of a list that are text. Others name no field.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .filter_map(|token| std::str::from_utf8(token).ok())
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect()
    }

    fn left(fields: &[(&str, &str)]) -> Vec<String> {
        let mut headers = headers(fields);
        remove_hop_by_hop(&mut headers);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn the_fields_of_the_connection_go() {
        let fields = [
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic x"),
            ("http2-settings", "AAA"),
            ("accept", "*/*"),
        ];
        assert_eq!(left(&fields), ["accept"]);
    }

    #[test]
    fn the_fields_that_connection_names_go_in_every_spelling() {
        for connection in
            ["close, X-Auth-Sub", "x-auth-sub", "Keep-Alive,X-AUTH-SUB ,", ", x-auth-sub, a b, \t"]
        {
            let fields = [("connection", connection), ("x-auth-sub", "me"), ("accept", "*/*")];
            assert_eq!(left(&fields), ["accept"], "{connection}");
        }
    }

    #[test]
    fn every_connection_field_counts() {
        let mut headers = headers(&[("connection", "close"), ("x-a", "1"), ("x-b", "1")]);
        headers.append("connection", "x-a".parse().unwrap());
        headers.append("connection", "x-b".parse().unwrap());
        remove_hop_by_hop(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn several_cookie_fields_become_one() {
        let mut headers = HeaderMap::new();
        for cookie in ["a=1", "b=2; c=3", "d=4"] {
            headers.append("cookie", cookie.parse().unwrap());
        }
        join_cookies(&mut headers);
        assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3; d=4"]);
    }

    #[test]
    fn trailers_are_welcome_only_when_the_client_says_so() {
        assert!(accepts_trailers(&headers(&[("te", "gzip;q=0.5, Trailers")])));
        assert!(!accepts_trailers(&headers(&[("te", "gzip")])));
        assert!(!accepts_trailers(&HeaderMap::new()));
    }
}
