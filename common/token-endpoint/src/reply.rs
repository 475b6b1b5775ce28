//! What the token endpoint said, read from an HTTP answer.
//! It is not believed beyond its form: whether a token is any good shows at its audience.

use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use symbolon_http::client::Fetched;
use symbolon_jws::strict_json;
use symbolon_wire::{ErrorCode, OAuthError, TokenAnswer};

/// No token of ours is longer.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The answer of the token endpoint.
#[derive(Debug)]
pub enum Reply {
    /// A token (RFC 6749 §5.1).
    Token(TokenAnswer),
    /// A refusal (RFC 6749 §5.2); never `temporarily_unavailable`.
    Refusal(OAuthError),
    /// Not now, or nothing that a token endpoint says.
    Nothing {
        /// When it is worth trying again, if the answer says so.
        retry_after: Option<Duration>,
    },
}

impl Reply {
    /// Reads an answer.
    #[must_use]
    pub fn read(fetched: &Fetched) -> Self {
        let retry_after =
            fetched.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let nothing = Self::Nothing { retry_after: retry_after.map(Duration::from_secs) };
        let status = fetched.status;
        if status == StatusCode::OK {
            let token: Result<TokenAnswer, _> = strict_json::from_slice(&fetched.body);
            return token.map_or(nothing, Self::Token);
        }
        if !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return nothing;
        }
        let refusal: Result<OAuthError, _> = strict_json::from_slice(&fetched.body);
        match refusal {
            Ok(refusal) if refusal.error != ErrorCode::TemporarilyUnavailable => Self::Refusal(refusal),
            Ok(_) | Err(_) => nothing,
        }
    }
}

/// Whether a text can be sent as a token (RFC 6750 §2.1, `b64token`): one that cannot would break a header.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !text.is_empty() && text.len() <= MAX_TOKEN_BYTES && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn reply(status: u16, body: &str, retry_after: Option<&str>) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Reply::read(&Fetched { status, headers, body: body.to_owned().into() })
    }

    #[test]
    fn an_outage_and_a_stranger_are_no_refusal() {
        let denied = r#"{"error":"access_denied","error_description":"denied: x"}"#;
        for (status, body) in [
            (503, denied),
            (500, denied),
            (429, denied),
            (302, ""),
            (404, "<html>not found</html>"),
            (200, "{}"),
            (200, r#"{"access_token":"a","access_token":"b","token_type":"DPoP","expires_in":1,"scope":""}"#),
            (400, r#"{"error":"temporarily_unavailable","error_description":"busy: x"}"#),
        ] {
            assert!(matches!(reply(status, body, None), Reply::Nothing { .. }), "{status} {body}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds_only() {
        for (value, seconds) in [("7", Some(7)), ("-1", None), ("Sun, 22 Nov 2026 18:00:00 GMT", None)] {
            let Reply::Nothing { retry_after } = reply(503, "", Some(value)) else { panic!("{value}") };
            assert_eq!(retry_after, seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_token_that_would_break_a_header_is_none() {
        for bad in ["", "a b", "a\r\nHost: evil", "ä", &"a".repeat(MAX_TOKEN_BYTES + 1)] {
            assert!(!is_token(bad), "{bad:?}");
        }
        assert!(is_token("eyJ.a-b_c.d~+/="));
    }
}
