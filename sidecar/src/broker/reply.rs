//! What becomes of an answer of the token endpoint.
//! Not here: reading it (`symbolon-token-endpoint`).

use std::time::Duration;

use http::StatusCode;
use secrecy::ExposeSecret;
use symbolon_token_endpoint::{Reply, is_token};
use symbolon_wire::{ErrorCode, OAuthError, TokenAnswer, TokenType};

use crate::credentials::{Answer, Credential, Denial};
use crate::dice::Dice;
use crate::metrics::AskOutcome;
use crate::settings::Want;
use crate::time::Now;

/// What is wrong with a resource's configuration is not mended within seconds.
const AFTER_DISCARDING: Duration = Duration::from_secs(15);

pub(super) fn log(reply: &Reply, audience: &str, status: StatusCode) {
    if matches!(reply, Reply::Nothing { .. }) {
        let status = status.as_u16();
        tracing::warn!(event.name = "token.failed", audience, status, "the broker gave no usable answer");
    }
}

pub(super) fn answer(reply: Reply, want: &Want, asked: Now, dice: &mut Dice) -> (AskOutcome, Answer) {
    match reply {
        Reply::Token(token) => granted(token, want, asked, dice),
        Reply::Refusal(refusal) => refused(&refusal),
        Reply::Nothing { retry_after } => {
            (AskOutcome::Unavailable, Answer::Failed { not_before: retry_after })
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

#[cfg(test)]
mod tests {
    use symbolon_identity::ReasonCode;

    use super::*;

    fn refusal(body: &str) -> OAuthError {
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn policy_ends_what_we_hold_and_a_question_put_wrongly_does_not() {
        for (code, denied) in [
            ("access_denied", true),
            ("invalid_target", true),
            ("invalid_scope", true),
            ("unauthorized_client", true),
            ("invalid_client", false),
            ("invalid_dpop_proof", false),
            ("use_dpop_nonce", false),
            ("invalid_request", false),
        ] {
            let body = format!(r#"{{"error":"{code}","error_description":"denied: x"}}"#);
            let (_, answer) = refused(&refusal(&body));
            match answer {
                Answer::Denied(denial) if denied => assert_eq!(denial.reason, Some(ReasonCode::Denied)),
                Answer::Refused(_) if !denied => {}
                other => panic!("{code}: {other:?}"),
            }
        }
    }
}
