//! What the token endpoint said, read from an HTTP answer.
//! It is not believed beyond its form: whether a token is any good shows at its audience.

use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use secrecy::ExposeSecret;
use symbolon_http::client::Fetched;
use symbolon_jws::strict_json;
use symbolon_wire::{ErrorCode, OAuthError, TokenAnswer, TokenType};

use crate::credentials::{Answer, Credential, Denial};
use crate::dice::Dice;
use crate::metrics::AskOutcome;
use crate::settings::Want;
use crate::time::Now;

/// No token of ours is longer.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// What is wrong with a resource's configuration is not mended within seconds.
const AFTER_DISCARDING: Duration = Duration::from_secs(15);

/// The answer of the token endpoint.
#[derive(Debug)]
pub(super) enum Reply {
    /// A token (RFC 6749 §5.1).
    Token(TokenAnswer),
    /// A refusal (RFC 6749 §5.2).
    Refusal(OAuthError),
    /// Not now, or nothing that a token endpoint says.
    Nothing { retry_after: Option<Duration> },
}

impl Reply {
    pub(super) fn read(fetched: &Fetched) -> Self {
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

    pub(super) fn log(&self, audience: &str, status: StatusCode) {
        if matches!(self, Self::Nothing { .. }) {
            let status = status.as_u16();
            tracing::warn!(event.name = "token.failed", audience, status, "the broker gave no usable answer");
        }
    }

    pub(super) fn into_answer(self, want: &Want, asked: Now, dice: &mut Dice) -> (AskOutcome, Answer) {
        match self {
            Self::Token(token) => granted(token, want, asked, dice),
            Self::Refusal(refusal) => refused(&refusal),
            Self::Nothing { retry_after } => {
                (AskOutcome::Unavailable, Answer::Failed { not_before: retry_after })
            }
        }
    }
}

fn granted(token: TokenAnswer, want: &Want, asked: Now, dice: &mut Dice) -> (AskOutcome, Answer) {
    let discarded = |why: &'static str| {
        let audience = want.audience.as_str();
        tracing::error!(event.name = "token.discarded", audience, why, "the broker's token is not used");
        (AskOutcome::Discarded, Answer::Failed { not_before: Some(AFTER_DISCARDING) })
    };
    // SECURITY: whoever sees a bearer token can use it. Only the configuration may settle for one.
    if token.token_type == TokenType::Bearer && !want.allow_bearer {
        return discarded("it is not bound to our key, and the upstream does not say `allow_bearer: true`");
    }
    if !is_token(token.access_token.expose_secret()) {
        return discarded("it is not one token that can stand in a header");
    }
    match Credential::new(token, want.audience.clone(), asked, dice) {
        Some(credential) => (AskOutcome::Granted, Answer::Granted(credential)),
        None => discarded("it has no life left"),
    }
}

fn refused(refusal: &OAuthError) -> (AskOutcome, Answer) {
    let denial = Denial { reason: refusal.reason(), decision_id: refusal.decision_id.clone() };
    match refusal.error {
        ErrorCode::AccessDenied
        | ErrorCode::InvalidScope
        | ErrorCode::InvalidTarget
        | ErrorCode::UnauthorizedClient => (AskOutcome::Denied, Answer::Denied(denial)),
        ErrorCode::InvalidClient
        | ErrorCode::InvalidDpopProof
        | ErrorCode::InvalidRequest
        | ErrorCode::UnsupportedGrantType
        | ErrorCode::UnsupportedTokenType
        | ErrorCode::UseDpopNonce => (AskOutcome::Refused, Answer::Refused(denial)),
        // INVARIANT: `Reply::read` has made an outage of it.
        ErrorCode::TemporarilyUnavailable => (AskOutcome::Unavailable, Answer::Failed { not_before: None }),
    }
}

/// RFC 6750 §2.1: `b64token`.
fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !text.is_empty() && text.len() <= MAX_TOKEN_BYTES && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use symbolon_identity::ReasonCode;

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
    fn policy_ends_what_we_hold_and_a_question_put_wrongly_does_not() {
        for (code, status, denied) in [
            ("access_denied", 403, true),
            ("access_denied", 400, true),
            ("invalid_target", 400, true),
            ("invalid_scope", 400, true),
            ("unauthorized_client", 400, true),
            ("invalid_client", 401, false),
            ("invalid_dpop_proof", 400, false),
            ("use_dpop_nonce", 400, false),
            ("invalid_request", 400, false),
        ] {
            let body = format!(r#"{{"error":"{code}","error_description":"denied: x"}}"#);
            let Reply::Refusal(refusal) = reply(status, &body, None) else { panic!("{code}") };
            let (_, answer) = refused(&refusal);
            match answer {
                Answer::Denied(denial) if denied => assert_eq!(denial.reason, Some(ReasonCode::Denied)),
                Answer::Refused(_) if !denied => {}
                other => panic!("{code}: {other:?}"),
            }
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
