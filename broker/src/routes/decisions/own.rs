//! A decision as the workload that it is about may see it: the reason, which attributes fell short, and whom to ask.
//! Nothing of the policies, no values, and nothing about others: for them the decision does not exist.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use symbolon_http::server::ConnectionInfo;
use symbolon_identity::DecisionId;
use symbolon_wire::OwnDecision;

use super::{document, problem, unread};
use crate::policies::{CurrentSet, Policies};
use crate::record::DecisionRecord;
use crate::routes::TokenRoute;
use crate::store::Store;

/// What telling a workload about itself needs.
#[derive(Debug)]
pub(crate) struct OwnDecisions {
    /// Where decisions are kept.
    pub(crate) store: Arc<dyn Store>,
    /// The policies in force.
    pub(crate) policies: Arc<Policies>,
    /// Attests the caller, under the limits that token requests have.
    pub(crate) token: Arc<TokenRoute>,
}

impl OwnDecisions {
    pub(super) async fn answer(&self, connection: &ConnectionInfo, id: &str) -> Response {
        let unknown = || problem(StatusCode::NOT_FOUND, "no decision of this id is about you");
        let Ok(_admission) = self.token.door.admit(connection) else {
            return problem(StatusCode::TOO_MANY_REQUESTS, "too many requests");
        };
        let Ok(id) = DecisionId::parse(id) else { return unknown() };
        let Some(caller) = self.token.service.peer(connection).await else { return unknown() };
        match self.store.decision(&id).await {
            Ok(Some(record)) if record.caller.id == caller => {
                let policies = self.policies.current();
                match tokio::task::spawn_blocking(move || told(&record, &policies)).await {
                    Ok(told) => Json(told).into_response(),
                    Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the explanation failed"),
                }
            }
            Ok(_) => unknown(),
            Err(error) => unread(&error),
        }
    }
}

fn told(record: &DecisionRecord, policies: &CurrentSet) -> OwnDecision {
    let mut own = OwnDecision {
        id: record.id.clone(),
        time: record.time,
        outcome: record.outcome,
        reason: record.reason,
        failed: Vec::new(),
        owner: None,
        runbook: None,
    };
    // The first denied question is the one that ended it.
    let Some((_, explanation)) = document::denied(record, policies).into_iter().next() else { return own };
    let Some(policy) = explanation.forbids().chain(explanation.near_misses()).next() else { return own };
    own.owner.clone_from(&policy.notes.owner);
    own.runbook.clone_from(&policy.notes.runbook);
    if !policy.applies {
        own.failed = policy.failed().filter_map(|condition| condition.about.clone()).collect();
        own.failed.sort();
        own.failed.dedup();
    }
    own
}
