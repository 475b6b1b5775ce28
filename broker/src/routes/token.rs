//! The token endpoint (RFC 6749 §3.2): limits first, then the request, then the answer that is on record.
//! Not here: any decision; `issue` takes them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use tokio::time::{Instant, timeout};

use super::door::{self, ANSWER_TIME, Door};
use super::error;
use crate::audit::{AuditError, Audited};
use crate::issue::TokenService;
use crate::metrics::TokenMetrics;
use crate::refusal::Refusal;

/// What the token endpoint needs.
#[derive(Debug)]
pub(crate) struct TokenRoute {
    /// Takes the decisions.
    pub(crate) service: TokenService,
    /// Keeps the limits, and reads forms.
    pub(crate) door: Door,
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

impl TokenRoute {
    async fn answer(&self, request: Request<Body>) -> Result<Audited, AuditError> {
        let id = self.door.next_id().map_err(AuditError::NoId)?;
        let connection = match door::connection(request.extensions()) {
            Ok(connection) => connection,
            Err(refusal) => return self.service.turn_away(id, None, refusal).await,
        };
        let source = self.door.source(&connection, request.headers());
        let entered = match self.door.enter_as(id.clone(), (connection, source), request).await {
            Ok(entered) => entered,
            Err(refusal) => return self.service.turn_away(id, source, refusal).await,
        };
        match timeout(ANSWER_TIME, self.service.answer(&entered.presented)).await {
            Ok(outcome) => outcome,
            Err(_) => self.service.turn_away(id, source, Refusal::TimedOut).await,
        }
    }
}
