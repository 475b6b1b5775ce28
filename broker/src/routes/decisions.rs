//! Recorded decisions: explained on the admin socket, and told to the workload itself on the attestation socket.
//! Not here: taking them.

mod document;
mod own;
mod sources;
mod stages;
mod stranger;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use symbolon_http::server::ConnectionInfo;
use symbolon_identity::DecisionId;

use super::operators::{Operators, problem};
use crate::policies::Policies;
use crate::record::DecisionRecord;
use crate::store::{Store, StoreError};
use crate::unrecorded::{Remembered, Unrecorded};

pub(crate) use own::OwnDecisions;

/// The most decisions in one list.
const MAX_RECENT: u32 = 200;

/// What explaining needs.
#[derive(Debug)]
pub(crate) struct Decisions {
    /// Where decisions are kept.
    pub(crate) store: Arc<dyn Store>,
    /// What was refused lately without a record.
    pub(crate) unrecorded: Arc<Unrecorded>,
    /// The policies in force.
    pub(crate) policies: Arc<Policies>,
    /// Who may ask.
    pub(crate) operators: Operators,
}

/// How many decisions a list is to have.
#[derive(Debug, Deserialize)]
pub(super) struct Recent {
    #[serde(default = "most")]
    limit: u32,
}

fn most() -> u32 {
    MAX_RECENT
}

/// `GET /v1/decisions/{id}` on the admin socket: a recorded decision, explained. Expected and actual values are shown
/// to our own user and root only.
pub(super) async fn one(
    State(decisions): State<Arc<Decisions>>,
    Extension(connection): Extension<ConnectionInfo>,
    Path(id): Path<String>,
) -> Response {
    fresh(decisions.answer(&connection, &id).await)
}

/// `GET /v1/decisions?limit=…` on the admin socket: the latest decisions, newest first by the second, with what policies were asked.
pub(super) async fn recent(
    State(decisions): State<Arc<Decisions>>,
    Extension(connection): Extension<ConnectionInfo>,
    Query(query): Query<Recent>,
) -> Response {
    fresh(decisions.list(&connection, query.limit.clamp(1, MAX_RECENT)).await)
}

/// `GET /v1/decisions/{id}` on the attestation socket: the caller's own decision, without anything of the policies.
pub(super) async fn own(
    State(decisions): State<Arc<OwnDecisions>>,
    Extension(connection): Extension<ConnectionInfo>,
    Path(id): Path<String>,
) -> Response {
    fresh(decisions.answer(&connection, &id).await)
}

impl Decisions {
    async fn answer(&self, connection: &ConnectionInfo, id: &str) -> Response {
        if let Some(refused) = self.operators.refuse(connection) {
            return refused;
        }
        let Ok(id) = DecisionId::parse(id) else {
            return problem(StatusCode::BAD_REQUEST, "this is not a decision id");
        };
        match self.store.decision(&id).await {
            Ok(Some(record)) => self.explain(record).await,
            Ok(None) => match self.unrecorded.find(&id) {
                Some(Remembered::Caller(record)) => self.explain(*record).await,
                Some(Remembered::Stranger(stranger)) => Json(stranger::document(&stranger)).into_response(),
                None => problem(
                    StatusCode::NOT_FOUND,
                    "no decision of this id is kept: of refusals before attestation, and of those that a caller gets many times within ten seconds, only the latest are remembered, until a restart",
                ),
            },
            Err(error) => unread(&error),
        }
    }

    async fn list(&self, connection: &ConnectionInfo, limit: u32) -> Response {
        if let Some(refused) = self.operators.refuse(connection) {
            return refused;
        }
        match self.store.recent_decisions(limit).await {
            Ok(records) => Json(records.iter().map(document::brief).collect::<Vec<_>>()).into_response(),
            Err(error) => unread(&error),
        }
    }

    async fn explain(&self, record: DecisionRecord) -> Response {
        let policies = self.policies.current();
        // Milliseconds of work: not on a thread that serves requests.
        match tokio::task::spawn_blocking(move || document::of(&record, &policies)).await {
            Ok(document) => Json(document).into_response(),
            Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the explanation failed"),
        }
    }
}

fn fresh(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn unread(error: &StoreError) -> Response {
    let error = crate::error_chain(error);
    tracing::error!(event.name = "store.read_failed", error, "decisions cannot be read");
    problem(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer")
}
