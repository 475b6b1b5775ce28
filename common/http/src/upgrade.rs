//! Requests that ask to leave HTTP, read strictly: a WebSocket handshake in one spelling, or a refusal.
//! Not the frames that follow (`tunnel.rs`), and not whether the handshake is allowed here.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

/// What a request asks for beside its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: the usual.
    Nothing,
    /// A WebSocket (RFC 6455 §4.1).
    WebSocket,
}

/// The request asks for something that is not forwarded: another protocol, `CONNECT` in any form, a handshake that two
/// servers could read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only a well-formed WebSocket handshake may ask for another protocol")]
pub struct UpgradeRefused;

/// The one protocol, in its one spelling.
pub(crate) const WEBSOCKET: &[u8] = b"websocket";

/// The length of a key: 16 bytes in base64.
const KEY_LENGTH: usize = 24;

/// Reads what `head` asks for.
///
/// # Errors
/// [`UpgradeRefused`] for everything but nothing and one exact WebSocket handshake. RFC 8441 (WebSocket over HTTP/2) is
/// refused like any `CONNECT`.
pub fn asked(head: &Parts) -> Result<Asked, UpgradeRefused> {
    if head.method == Method::CONNECT {
        return Err(UpgradeRefused);
    }
    if !head.headers.contains_key(UPGRADE) {
        return Ok(Asked::Nothing);
    }
    let headers = &head.headers;
    let handshake = head.version == Version::HTTP_11
        && head.method == Method::GET
        && only(headers, &UPGRADE).is_some_and(|value| value.as_bytes() == WEBSOCKET)
        && names_upgrade(headers)
        && only(headers, &SEC_WEBSOCKET_VERSION).is_some_and(|value| value.as_bytes() == b"13")
        && only(headers, &SEC_WEBSOCKET_KEY).is_some_and(is_key)
        && !headers.contains_key(TRANSFER_ENCODING)
        && headers.get_all(CONTENT_LENGTH).iter().all(|length| length.as_bytes() == b"0");
    if handshake { Ok(Asked::WebSocket) } else { Err(UpgradeRefused) }
}

/// Whether an answer of 101 says that the protocol is now WebSocket (RFC 6455 §4.2.2).
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    only(headers, &UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(WEBSOCKET))
}

/// The value of a field that must stand there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let upgrade = |token: &[u8]| token.trim_ascii().eq_ignore_ascii_case(b"upgrade");
    headers.get_all(CONNECTION).iter().any(|value| value.as_bytes().split(|byte| *byte == b',').any(upgrade))
}

fn is_key(value: &HeaderValue) -> bool {
    let key = value.as_bytes();
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == KEY_LENGTH && key.strip_suffix(b"==").is_some_and(|digits| digits.iter().all(base64))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn head(fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::get("/socket");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// The good handshake with one field changed; an empty value leaves it out.
    fn changed(name: &str, value: &str) -> Parts {
        let fields: Vec<_> = GOOD
            .iter()
            .map(|(known, kept)| (*known, if *known == name { value } else { *kept }))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        head(&fields)
    }

    #[test]
    fn a_handshake_is_told_from_a_usual_request() {
        assert_eq!(asked(&head(&[])), Ok(Asked::Nothing));
        assert_eq!(asked(&head(&GOOD)), Ok(Asked::WebSocket));
        assert_eq!(asked(&changed("connection", "keep-alive, upgrade")), Ok(Asked::WebSocket));
    }

    #[test]
    fn other_protocols_lists_and_spellings_are_refused() {
        for value in [
            "h2c",
            "WebSocket",
            "WEBSOCKET",
            "websocket, h2c",
            "h2c, websocket",
            "websocket/13",
            " ",
            "TLS/1.0",
        ] {
            assert_eq!(asked(&changed("upgrade", value)), Err(UpgradeRefused), "{value}");
        }
        let mut twice = head(&GOOD);
        twice.headers.append(UPGRADE, HeaderValue::from_static("websocket"));
        assert_eq!(asked(&twice), Err(UpgradeRefused));
    }

    #[test]
    fn a_handshake_is_complete_or_refused() {
        for (name, value) in [
            ("connection", ""),
            ("connection", "keep-alive"),
            ("connection", "x-upgrade"),
            ("sec-websocket-version", ""),
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", ""),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSE="),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25j*Q=="),
        ] {
            assert_eq!(asked(&changed(name, value)), Err(UpgradeRefused), "{name}: {value}");
        }
    }

    #[test]
    fn a_handshake_has_no_body_and_is_a_get_of_http_1_1() {
        for (name, value) in [("content-length", "5"), ("transfer-encoding", "chunked")] {
            let mut with_body = head(&GOOD);
            with_body.headers.insert(name, value.parse().unwrap());
            assert_eq!(asked(&with_body), Err(UpgradeRefused), "{name}");
        }
        for version in [Version::HTTP_10, Version::HTTP_2] {
            let mut other = head(&GOOD);
            other.version = version;
            assert_eq!(asked(&other), Err(UpgradeRefused), "{version:?}");
        }
        for method in [Method::POST, Method::CONNECT] {
            let mut other = head(&GOOD);
            other.method = method;
            assert_eq!(asked(&other), Err(UpgradeRefused));
        }
        let mut connect = head(&[]);
        (connect.method, connect.version) = (Method::CONNECT, Version::HTTP_2);
        assert_eq!(asked(&connect), Err(UpgradeRefused), "extended CONNECT (RFC 8441) too");
    }
}
