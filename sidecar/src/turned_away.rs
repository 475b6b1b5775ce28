//! Every way in which a local caller's request ends here, and the one map from it to an answer.
//! What the API behind answers is not in it: that goes through unchanged.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use symbolon_http::Body;
use symbolon_http::forward::ForwardError;
use symbolon_identity::ReasonCode;
use symbolon_wire::Problem;

use crate::credentials::{Denial, Without};
use crate::metrics::Outcome;

/// Why a request was not forwarded, or not answered with a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnedAway {
    /// It has no single, clear meaning.
    #[error("the request is malformed")]
    Malformed,
    /// It names a host that is not served here: perhaps a browser was tricked into sending it (DNS rebinding).
    #[error("this host is not served here")]
    ForeignHost,
    /// The kernel says that another user is at the other end of the socket.
    #[error("this user may not use this socket")]
    ForeignUser,
    /// A browser sent it for a page from elsewhere.
    #[error("requests of web pages are not accepted")]
    CrossOrigin,
    /// The app sent a credential of its own, and the configuration refuses that.
    #[error("the request has a credential of its own")]
    AppCredential,
    /// It asks to leave HTTP.
    #[error("protocol upgrades are not forwarded")]
    Upgrade,
    /// The broker said no.
    #[error("the broker refuses a token for this API")]
    Denied(Denial),
    /// The broker says nothing, and no token is left.
    #[error("no token can be had now")]
    TokenUnavailable {
        /// When it may be worth trying again.
        retry_after: Duration,
    },
    /// The API cannot be reached.
    #[error("the API cannot be reached")]
    UpstreamUnavailable,
    /// The API does not begin its answer in time.
    #[error("the API did not answer in time")]
    UpstreamTimeout,
    /// The API has as many of our requests under way as it may have.
    #[error("too many requests are under way at the API")]
    Busy,
    /// Its body is larger than allowed.
    #[error("the request is too large")]
    TooLarge,
    /// The token endpoint wants `Symbolon-Request: true`, which no browser and no simple forgery sends.
    #[error("send the header `Symbolon-Request: true`")]
    MarkMissing,
    /// Somebody forwarded it: callers of the token endpoint are local.
    #[error("forwarded requests are not accepted")]
    Forwarded,
    /// There is nothing at this path, or no upstream of this name.
    #[error("there is nothing here")]
    NotFound,
    /// The token endpoint knows GET only.
    #[error("the method is not allowed here")]
    MethodNotAllowed,
}

impl From<Without> for TurnedAway {
    fn from(without: Without) -> Self {
        match without {
            Without::Denied(denial) => Self::Denied(denial),
            Without::Unavailable { retry_after } => Self::TokenUnavailable { retry_after },
        }
    }
}

impl From<ForwardError> for TurnedAway {
    fn from(error: ForwardError) -> Self {
        match error {
            ForwardError::Malformed(_) | ForwardError::Address(_) | ForwardError::ClientAborted => {
                Self::Malformed
            }
            ForwardError::UpgradeNotAllowed => Self::Upgrade,
            ForwardError::TooLarge { .. } => Self::TooLarge,
            ForwardError::UpstreamUnavailable { .. } | ForwardError::UpstreamProtocol { .. } => {
                Self::UpstreamUnavailable
            }
            ForwardError::UpstreamTimeout { .. } => Self::UpstreamTimeout,
            ForwardError::Busy { .. } => Self::Busy,
        }
    }
}

impl TurnedAway {
    /// The status and the stable code of the answer.
    pub(crate) const fn verdict(&self) -> (StatusCode, ReasonCode) {
        match self {
            Self::Malformed | Self::MarkMissing | Self::Forwarded => {
                (StatusCode::BAD_REQUEST, ReasonCode::MalformedRequest)
            }
            Self::ForeignHost => (StatusCode::MISDIRECTED_REQUEST, ReasonCode::RouteNotFound),
            Self::ForeignUser => (StatusCode::FORBIDDEN, ReasonCode::UnauthorizedClient),
            Self::CrossOrigin => (StatusCode::FORBIDDEN, ReasonCode::OriginNotAllowed),
            Self::AppCredential => (StatusCode::BAD_REQUEST, ReasonCode::MultipleTokens),
            Self::Upgrade => (StatusCode::BAD_REQUEST, ReasonCode::UpgradeNotAllowed),
            Self::Denied(_) => (StatusCode::FORBIDDEN, ReasonCode::Denied),
            Self::TokenUnavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, ReasonCode::TokenUnavailable),
            Self::UpstreamUnavailable => (StatusCode::BAD_GATEWAY, ReasonCode::UpstreamUnavailable),
            Self::UpstreamTimeout => (StatusCode::GATEWAY_TIMEOUT, ReasonCode::UpstreamTimeout),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, ReasonCode::Busy),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, ReasonCode::TooLarge),
            Self::NotFound => (StatusCode::NOT_FOUND, ReasonCode::RouteNotFound),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, ReasonCode::MalformedRequest),
        }
    }

    /// How the request is counted.
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Denied(_) => Outcome::Denied,
            Self::TokenUnavailable { .. } => Outcome::TokenUnavailable,
            Self::UpstreamUnavailable | Self::UpstreamTimeout | Self::Busy => Outcome::UpstreamFailed,
            Self::Malformed
            | Self::ForeignHost
            | Self::ForeignUser
            | Self::CrossOrigin
            | Self::AppCredential
            | Self::Upgrade
            | Self::TooLarge
            | Self::MarkMissing
            | Self::Forwarded
            | Self::NotFound
            | Self::MethodNotAllowed => Outcome::TurnedAway,
        }
    }

    /// The problem document for the caller.
    pub(crate) fn answer(&self) -> Response<Body> {
        let (status, code) = self.verdict();
        let decision_id = match self {
            Self::Denied(denial) => denial.decision_id.clone(),
            _ => None,
        };
        let mut problem = Problem::new(status.as_u16(), code, decision_id);
        problem.title = self.title(code);
        // INVARIANT: a problem is text and numbers, which always become JSON.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let retry_after = match self {
            Self::TokenUnavailable { retry_after } => Some(*retry_after),
            Self::Busy => Some(Duration::ZERO),
            _ => None,
        };
        if let Some(retry_after) = retry_after {
            // Rounded up: an answer of 0 would invite a storm.
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().saturating_add(1)));
        }
        answer
    }

    fn title(&self, code: ReasonCode) -> String {
        match self {
            Self::Denied(Denial { reason: Some(reason), .. }) if *reason != code => {
                format!("{self} ({reason}): {}", reason.advice())
            }
            Self::Denied(_) | Self::TokenUnavailable { .. } => code.advice().to_owned(),
            _ => self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use symbolon_identity::DecisionId;

    use super::*;

    async fn problem(turned_away: &TurnedAway) -> (Response<()>, Problem) {
        let (head, body) = turned_away.answer().into_parts();
        let body = body.read(65_536, Duration::from_secs(1)).await.unwrap();
        (Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_denial_names_its_decision_and_what_the_broker_said() {
        let id = DecisionId::parse("b-00000000000000000000000000").unwrap();
        let denial = Denial { reason: Some(ReasonCode::EvidenceMissing), decision_id: Some(id.clone()) };
        let (answer, problem) = problem(&TurnedAway::Denied(denial)).await;
        assert_eq!(answer.status(), 403);
        assert_eq!((problem.code, problem.decision_id), (ReasonCode::Denied, Some(id)));
        assert!(problem.title.contains("evidence_missing"), "{}", problem.title);
    }

    #[tokio::test]
    async fn a_busy_api_is_an_outage_and_not_the_apps_fault() {
        let (answer, problem) = problem(&TurnedAway::Busy).await;
        assert_eq!((answer.status().as_u16(), problem.code), (503, ReasonCode::Busy));
        assert_eq!(answer.headers()["retry-after"], "1");
    }

    #[tokio::test]
    async fn an_outage_says_when_to_come_back_and_never_at_once() {
        let (answer, problem) = problem(&TurnedAway::TokenUnavailable { retry_after: Duration::ZERO }).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(problem.code, ReasonCode::TokenUnavailable);
    }
}
