//! `/v1/revocations` on the admin socket: what operators revoke, by workload, key, subject, client, token or lineage.
//! Not here: what callers give back themselves (`inspect`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_audit::{Event, Outcome, Record};
use symbolon_daemon::Clock;
use symbolon_http::server::{ConnectionInfo, Peer};
use symbolon_identity::{ClientId, Timestamp, WorkloadId};
use symbolon_token::{Revocation, RevocationKind};

use super::operators::{Operators, body, problem};
use crate::resources::LONGEST;
use crate::revoke::{Revocations, Standing};
use crate::store::{Entry, Ledger, NewRevocation, Store};

const MAX_BODY: usize = 16 * 1024;
const MAX_VALUE: usize = 2048;
/// A block that is not lifted ends after ten years.
const LONGEST_BLOCK: Duration = Duration::from_hours(10 * 366 * 24);

/// What operators' revocations need.
#[derive(Debug)]
pub(crate) struct RevocationRoutes {
    pub(crate) operators: Operators,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The registered clients, by the names of their workloads.
    pub(crate) clients: BTreeMap<ClientId, WorkloadId>,
}

/// What an operator sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    kind: RevocationKind,
    value: String,
    /// Takes an earlier revocation of the same thing back.
    #[serde(default)]
    lift: bool,
    /// Tokens issued up to this second are revoked; now if absent.
    #[serde(default)]
    revoked_before: Option<Timestamp>,
    /// How many seconds nothing is issued to it; until it is lifted if absent. Zero revokes tokens and blocks nothing.
    #[serde(default)]
    block_seconds: Option<u64>,
    /// Why, for the record.
    #[serde(default)]
    note: Option<String>,
}

pub(super) async fn list(
    State(routes): State<Arc<RevocationRoutes>>,
    Extension(connection): Extension<ConnectionInfo>,
) -> Response {
    if let Some(refused) = routes.operators.refuse(&connection) {
        return refused;
    }
    let now = routes.now();
    let all = routes.revocations.all();
    let shown: Vec<Value> = all.iter().filter(|standing| standing.counts(now)).map(shown).collect();
    Json(json!({ "revocations": shown })).into_response()
}

pub(super) async fn order(
    State(routes): State<Arc<RevocationRoutes>>,
    Extension(connection): Extension<ConnectionInfo>,
    request: Request<Body>,
) -> Response {
    if let Some(refused) = routes.operators.refuse(&connection) {
        return refused;
    }
    let content = match body(request.into_body(), MAX_BODY).await {
        Ok(content) => content,
        Err((status, message)) => return problem(status, message),
    };
    let order: Order = match serde_json::from_slice(&content) {
        Ok(order) => order,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("not a revocation: {error}")),
    };
    if order.value.is_empty() || order.value.len() > MAX_VALUE {
        return problem(StatusCode::BAD_REQUEST, "`value` names nothing, or more than 2048 bytes");
    }
    let Some(order) = routes.meant(order) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "`value` names no workload: give its SPIFFE ID, or the id of a registered client",
        );
    };
    routes.carry_out(order, &connection).await
}

impl RevocationRoutes {
    /// The order with the name under which tokens know the workload; none if it names none, and so would hit nothing.
    fn meant(&self, mut order: Order) -> Option<Order> {
        let names_a_workload = matches!(order.kind, RevocationKind::Workload | RevocationKind::Client);
        if names_a_workload && WorkloadId::parse(&order.value).is_err() {
            let client = ClientId::parse(&order.value).ok()?;
            self.clients.get(&client)?.as_str().clone_into(&mut order.value);
        }
        Some(order)
    }

    async fn carry_out(&self, order: Order, connection: &ConnectionInfo) -> Response {
        let now = self.now();
        let new = order.revocation(now);
        let mut record = Record::new(Event::RevocationChanged, now, Outcome::Success)
            .with_detail("kind", new.revocation.kind.as_str())
            .with_detail("value", new.revocation.value.as_str())
            .with_detail("lifted", order.lift)
            .with_detail("until", new.revocation.until.to_string())
            .with_detail("blocks_until", new.blocks_until.map(|until| until.to_string()));
        if let Peer::Unix(peer) = connection.peer() {
            record = record.with_detail("uid", peer.uid());
        }
        if let Some(note) = &order.note {
            record = record.with_detail("note", note.chars().take(256).collect::<String>());
        }
        let entry = Entry::Revocation { uses: Vec::new(), revocations: vec![new], record: Box::new(record) };
        if self.ledger.record(entry).await.is_err() {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "the revocation could not be put on record");
        }
        if self.revocations.follow(&*self.store, now).await.is_err() {
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "the revocation is on record and does not count yet: send it again",
            );
        }
        (StatusCode::OK, Json(json!({ "seq": *self.revocations.last().borrow() }))).into_response()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}

impl Order {
    fn revocation(&self, now: Timestamp) -> NewRevocation {
        let names_one_token = matches!(self.kind, RevocationKind::Jti | RevocationKind::Lineage);
        let block = match (names_one_token, self.block_seconds) {
            (true, _) => Duration::ZERO,
            (false, None) => LONGEST_BLOCK,
            (false, Some(seconds)) => Duration::from_secs(seconds).min(LONGEST_BLOCK),
        };
        let revoked_before =
            if names_one_token { Timestamp::MAX } else { self.revoked_before.unwrap_or(now) };
        // It has to stand for as long as a token that it hits can live.
        let until = if self.lift { now } else { now.saturating_add(block.max(LONGEST)) };
        let blocks = !self.lift && !block.is_zero();
        NewRevocation {
            revocation: Revocation { kind: self.kind, value: self.value.clone(), revoked_before, until },
            blocks_until: blocks.then(|| now.saturating_add(block)),
        }
    }
}

fn shown(standing: &Standing) -> Value {
    json!({
        "seq": standing.sequence,
        "kind": standing.revocation.kind,
        "value": standing.revocation.value,
        "revoked_before": standing.revocation.revoked_before.to_string(),
        "until": standing.revocation.until.to_string(),
        "blocks_until": standing.blocks_until.map(|until| until.to_string()),
    })
}
