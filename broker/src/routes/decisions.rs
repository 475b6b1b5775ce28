//! `GET /v1/decisions/{id}` on the admin socket: a recorded decision, explained.
//! Not for callers: expected and actual values are shown to our own user and root only.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde_json::json;
use symbolon_http::server::ConnectionInfo;
use symbolon_identity::DecisionId;
use symbolon_policies::{Condition, ExplainedPolicy, Verdict};
use symbolon_wire::{Atom, DecisionDocument, NearMiss, Outcome};

use super::operators::{Operators, problem};
use crate::policies::{CurrentSet, Policies};
use crate::record::DecisionRecord;
use crate::store::Store;

/// What explaining needs.
#[derive(Debug)]
pub(crate) struct Decisions {
    /// Where decisions are kept.
    pub(crate) store: Arc<dyn Store>,
    /// The policies in force.
    pub(crate) policies: Arc<Policies>,
    /// Who may ask.
    pub(crate) operators: Operators,
}

pub(super) async fn serve(
    State(decisions): State<Arc<Decisions>>,
    Extension(connection): Extension<ConnectionInfo>,
    Path(id): Path<String>,
) -> Response {
    let mut response = decisions.answer(&connection, &id).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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
            Ok(None) => problem(
                StatusCode::NOT_FOUND,
                "no decision of this id is kept: refusals before attestation are only counted",
            ),
            Err(error) => {
                let error = crate::error_chain(&error);
                tracing::error!(event.name = "store.read_failed", error, "a decision cannot be read");
                problem(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer")
            }
        }
    }

    async fn explain(&self, record: DecisionRecord) -> Response {
        let policies = self.policies.current();
        // Milliseconds of work: not on a thread that serves requests.
        match tokio::task::spawn_blocking(move || document(&record, &policies)).await {
            Ok(document) => Json(document).into_response(),
            Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the explanation failed"),
        }
    }
}

fn document(record: &DecisionRecord, policies: &CurrentSet) -> DecisionDocument {
    let mut near_misses: Vec<NearMiss> = Vec::new();
    if record.outcome == Outcome::Denied {
        for question in &record.questions {
            let explanation = policies.set().explain(question);
            for miss in explanation.near_misses().map(near_miss) {
                if !near_misses.contains(&miss) {
                    near_misses.push(miss);
                }
            }
        }
    }
    let same_set = record.policy_set.as_deref() == Some(policies.fingerprint());
    DecisionDocument {
        id: record.id.clone(),
        time: record.time,
        outcome: record.outcome,
        reason: record.reason,
        detail: record.detail.clone(),
        workload: Some(record.caller.id.as_str().to_owned()),
        target: Some(record.target_name()),
        stages: Vec::new(),
        policies: record.policies.iter().map(|policy| policy.as_str().to_owned()).collect(),
        near_misses,
        facts: json!({
            "principal": record.caller,
            "method": record.method,
            "key": record.key,
            "scopes": record.scopes,
            "exchange": record.exchange,
            "context": record.questions.first().map(|question| &question.context),
            "token": record.token,
            "policy_set": record.policy_set,
            "shadow": record.shadow,
            "policies_changed_since": record.policy_set.is_some() && !same_set,
        }),
    }
}

fn near_miss(policy: &ExplainedPolicy) -> NearMiss {
    NearMiss { policy: policy.id.as_str().to_owned(), failed: policy.failed().map(atom).collect() }
}

fn atom(condition: &Condition) -> Atom {
    let actual = match &condition.verdict {
        Verdict::Error(message) => Some(format!("error: {message}")),
        Verdict::NotReached => Some("not reached".to_owned()),
        Verdict::Holds | Verdict::Fails => condition.actual.clone(),
    };
    Atom { condition: condition.text.clone(), expected: condition.expected.clone(), actual }
}
