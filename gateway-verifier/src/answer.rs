//! How a rejection is written: status, challenge, problem document. Nothing in it says what was expected.
//! Not here: which reason means which status (`rejection.rs`).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use symbolon_http::Body;
use symbolon_identity::{DecisionId, ReasonCode};
use symbolon_wire::Problem;

use crate::rejection::{ChallengeError, Rejection};
use crate::routes::Route;

/// The answer to a rejected request.
#[must_use]
pub fn rejected(rejection: &Rejection, route: Option<&Route>, id: DecisionId) -> Response<Body> {
    let (code, verdict) = (rejection.code(), rejection.verdict());
    let problem = Problem::new(verdict.status.as_u16(), code, Some(id));
    // INVARIANT: a problem is texts and numbers, which always become JSON.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut answer = answer(verdict.status, Problem::MEDIA_TYPE, body.into());
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = verdict.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(code, ReasonCode::MalformedRequest | ReasonCode::UpgradeNotAllowed | ReasonCode::TooLarge) {
        // What follows on this connection may not be what its sender takes for the next request.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let rule = route.and_then(|route| route.stages.verify_at(rejection.progress()));
    match (verdict.challenge, rule) {
        (Some(error), Some(rule)) => {
            for value in rule.challenge.values(error, code) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
        // RFC 9110 §15.5.2: a 401 always challenges, also where no rule says how.
        (Some(ChallengeError::None), None) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        (Some(_) | None, _) => {}
    }
    answer
}

/// It was done, and there is nothing to say.
#[must_use]
pub fn nothing() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A document that may be kept for a while.
#[must_use]
pub fn document(body: Bytes) -> Response<Body> {
    let mut answer = answer(StatusCode::OK, "application/json", body);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    answer
}

fn answer(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_identity::{Origin, Timestamp};

    #[tokio::test]
    async fn a_problem_carries_code_and_id_and_nothing_that_was_compared() {
        let rejection = Rejection::new(ReasonCode::JwksUnavailable)
            .because("secret-detail")
            .compared("secret-a", "secret-b");
        let id = DecisionId::new(Origin::Gateway, Timestamp::default(), [7; 10]);
        let answer = rejected(&rejection, None, id.clone());
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()[RETRY_AFTER], "5");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
        let body = answer.into_body().read(4096, std::time::Duration::from_secs(1)).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(!text.contains("secret"), "{text}");
        let problem: Problem = serde_json::from_str(text).unwrap();
        assert_eq!((problem.code, problem.decision_id), (ReasonCode::JwksUnavailable, Some(id)));
    }
}
