//! The token endpoint (RFC 6749 §3.2): limits first, then the request, then the answer that is on record.
//! Not here: any decision; `issue` takes them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, Request};
use secrecy::SecretString;
use symbolon_http::server::ConnectionInfo;
use symbolon_identity::DecisionId;
use symbolon_wire::{TokenForm, header};
use tokio::time::{Instant, timeout};

use super::error;
use crate::audit::{AuditError, Audited};
use crate::issue::TokenService;
use crate::limits::Gate;
use crate::metrics::TokenMetrics;
use crate::presented::Presented;
use crate::proxies::Proxies;
use crate::refusal::{Refusal, Scheme};

/// The largest body; one assertion of 16 KiB and room for the rest.
const MAX_BODY: usize = 64 * 1024;
/// The longest a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The longest a whole request may take to be answered.
const ANSWER_TIME: Duration = Duration::from_secs(15);
const FORM: &str = "application/x-www-form-urlencoded";

/// What the token endpoint needs.
#[derive(Debug)]
pub(crate) struct TokenRoute {
    /// Takes the decisions.
    pub(crate) service: TokenService,
    /// Keeps the limits.
    pub(crate) gate: Gate,
    /// Tells where requests come from.
    pub(crate) proxies: Proxies,
    /// Counts.
    pub(crate) metrics: TokenMetrics,
}

pub(super) async fn serve(State(route): State<Arc<TokenRoute>>, request: Request<Body>) -> Response {
    let started = Instant::now();
    let outcome = route.answer(request).await;
    if outcome.is_err() {
        route.metrics.count_unrecorded();
    }
    route.metrics.observe(started.elapsed());
    error::respond(&outcome)
}

/// The answer to any other method than POST.
pub(super) async fn method_not_allowed() -> Response {
    error::method_not_allowed()
}

impl TokenRoute {
    async fn answer(&self, request: Request<Body>) -> Result<Audited, AuditError> {
        let id = self.service.next_id()?;
        let Some(connection) = request.extensions().get::<ConnectionInfo>().cloned() else {
            let refusal = Refusal::Malformed("the connection is not known");
            return self.service.turn_away(id, None, refusal).await;
        };
        let source = self.proxies.source(&connection, request.headers());
        let arrived = match self.gate.arrive(&connection, source) {
            Ok(arrival) => {
                let presented = present(id.clone(), (connection, source), request).await;
                presented.and_then(|presented| Ok((presented, arrival.begin()?)))
            }
            Err(refusal) => Err(refusal),
        };
        let (presented, _admission) = match arrived {
            Ok(arrived) => arrived,
            Err(refusal) => return self.service.turn_away(id, source, refusal).await,
        };
        match timeout(ANSWER_TIME, self.service.answer(presented)).await {
            Ok(outcome) => outcome,
            Err(_) => self.service.turn_away(id, source, Refusal::TimedOut).await,
        }
    }
}

async fn present(
    id: DecisionId,
    (connection, source): (ConnectionInfo, Option<IpAddr>),
    request: Request<Body>,
) -> Result<Presented, Refusal> {
    let (head, body) = request.into_parts();
    if head.uri.query().is_some() {
        return Err(Refusal::Malformed("parameters belong in the body"));
    }
    check_headers(&head.headers)?;
    let proof = proof(&head.headers)?;
    let body = match timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => return Err(Refusal::TooLarge),
        Ok(Err(_)) | Err(_) => return Err(Refusal::Malformed("the body did not arrive")),
    };
    Ok(Presented { id, form: TokenForm::parse(&body)?, connection, source, proof })
}

fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(ORIGIN) {
        return Err(Refusal::OriginNotAllowed);
    }
    if let Some(value) = headers.get(AUTHORIZATION) {
        return Err(Refusal::AuthorizationHeader(Scheme::of(value.as_bytes())));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::Malformed("the body is encoded"));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(FORM) { Ok(()) } else { Err(Refusal::Malformed("the body is not a form")) }
}

/// RFC 9449 §4.3: exactly one header, if any.
fn proof(headers: &HeaderMap) -> Result<Option<SecretString>, Refusal> {
    let mut proofs = headers.get_all(header::DPOP).iter();
    match (proofs.next(), proofs.next()) {
        (None, _) => Ok(None),
        (Some(proof), None) => {
            let text = proof.to_str().map_err(|_| Refusal::ProofHeader)?;
            Ok(Some(SecretString::from(text)))
        }
        (Some(_), Some(_)) => Err(Refusal::ProofHeader),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}
