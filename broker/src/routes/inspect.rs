//! Introspection (RFC 7662 §2) and revocation (RFC 7009 §2).
//! Not here: whom a token concerns (`inspect`).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use symbolon_daemon::Clock;
use symbolon_identity::Timestamp;
use symbolon_token::Claims;

use super::door::{Door, Entered};
use super::error;
use crate::inspect::{InspectError, Inspector};

/// What both endpoints need.
#[derive(Debug)]
pub(crate) struct InspectRoutes {
    pub(crate) inspector: Inspector,
    pub(crate) door: Door,
    pub(crate) clock: Arc<dyn Clock>,
}

pub(super) async fn introspect(State(routes): State<Arc<InspectRoutes>>, request: Request<Body>) -> Response {
    let answer = routes.enter(request, async |entered| {
        let found = routes.inspector.introspect(&entered.presented, routes.now()).await?;
        // RFC 7662 §2.2: about a token that is not good, or not the caller's business, no more than this.
        let body = found.map_or_else(|| json!({ "active": false }), |claims| active(&claims));
        Ok(Json(body).into_response())
    });
    answer.await
}

pub(super) async fn revoke(State(routes): State<Arc<InspectRoutes>>, request: Request<Body>) -> Response {
    let answer = routes.enter(request, async |entered| {
        routes.inspector.give_back(&entered.presented, routes.now()).await?;
        Ok(StatusCode::OK.into_response())
    });
    answer.await
}

impl InspectRoutes {
    async fn enter(
        &self,
        request: Request<Body>,
        answer: impl AsyncFnOnce(&Entered) -> Result<Response, InspectError>,
    ) -> Response {
        let outcome = match self.door.enter(request).await {
            Ok(entered) => self.door.in_time(answer(&entered)).await,
            Err(refusal) => Err(InspectError::Refused(refusal)),
        };
        let mut response = outcome.unwrap_or_else(|error| error::inspect(&error));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}

/// The members of the token, `act` and `cnf` among them (RFC 7662 §2.2, RFC 8693 §4, RFC 9449 §6.2).
fn active(claims: &Claims) -> Value {
    let mut members = claims.to_members();
    let scheme = if claims.confirmation.is_some() { "DPoP" } else { "Bearer" };
    members.insert("token_type".to_owned(), scheme.into());
    members.insert("active".to_owned(), true.into());
    Value::Object(members)
}
