//! `/v1/evidence` on the admin socket: what a grant would say of evidence, and why each trust provider says so.
//! Not on record: nothing is issued and nothing used up. Not here: any check; `attest` makes them, as for a grant.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, StatusCode};
use symbolon_daemon::Clock;
use symbolon_http::server::ConnectionInfo;
use symbolon_identity::Timestamp;
use symbolon_wire::{Appraisal, TokenForm};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::operators::{Operators, body, is_form, problem};
use crate::attest::Attestors;
use crate::grants::PresentedClient;

mod document;

/// An assertion of 16 KiB and what stands beside it.
const MAX_BODY: usize = 20 * 1024;
/// The longest an answer may take: less than `symbolon` waits. A grant waits for a platform a little longer.
const ANSWER_TIME: Duration = Duration::from_secs(8);
/// So many questions at once: operators must not take the turns of callers at a cluster.
const QUESTIONS: usize = 2;

/// What the route needs.
#[derive(Debug)]
pub(crate) struct EvidenceRoute {
    attestors: Arc<Attestors>,
    operators: Operators,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
}

/// Why evidence was not looked at.
type Problem = (StatusCode, &'static str);

pub(super) async fn appraise(
    State(route): State<Arc<EvidenceRoute>>,
    Extension(connection): Extension<ConnectionInfo>,
    request: Request<Body>,
) -> Response {
    let mut response = match route.answer(&connection, request).await {
        Ok(appraisal) => Json(appraisal).into_response(),
        Err((status, message)) => problem(status, message),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl EvidenceRoute {
    /// The route over the attestors of the token endpoint.
    pub(crate) fn new(attestors: Arc<Attestors>, operators: Operators, clock: Arc<dyn Clock>) -> Self {
        Self { attestors, operators, clock, turns: Semaphore::new(QUESTIONS) }
    }

    async fn answer(
        &self,
        connection: &ConnectionInfo,
        request: Request<Body>,
    ) -> Result<Appraisal, Problem> {
        let uid = self.operators.admit(connection).ok_or((StatusCode::FORBIDDEN, Operators::REFUSAL))?;
        let _turn = self.turns.try_acquire().map_err(|_| BUSY)?;
        let form = form(request).await?;
        let looked = timeout(ANSWER_TIME, self.look(&form, connection)).await;
        let appraisal = looked.map_err(|_| LATE)?;
        tracing::info!(
            event.name = "evidence.appraised",
            uid,
            workload = appraisal.workload,
            reason = appraisal.reason.map(tracing::field::display),
            "an operator asked what a grant would say of evidence"
        );
        Ok(appraisal)
    }

    async fn look(&self, form: &TokenForm, connection: &ConnectionInfo) -> Appraisal {
        let now = Timestamp::from_secs_saturating(self.clock.unix_seconds());
        match PresentedClient::of(form, connection) {
            Ok(client) => {
                let appraised = self.attestors.appraise(&client, connection, now).await;
                document::of(&appraised, Some(&client), now)
            }
            Err(refusal) => document::of(&self.attestors.unasked(refusal), None, now),
        }
    }
}

const BUSY: Problem = (StatusCode::SERVICE_UNAVAILABLE, "two such questions are under way");
const LATE: Problem =
    (StatusCode::SERVICE_UNAVAILABLE, "the platform of the evidence does not answer in time");

/// The form, with nothing but what a client authenticates with.
async fn form(request: Request<Body>) -> Result<TokenForm, Problem> {
    let (head, content) = request.into_parts();
    let content = body(content, MAX_BODY).await?;
    if !content.is_empty() && !is_form(&head.headers) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is not a form"));
    }
    TokenForm::parse(&content).map_err(|_| (StatusCode::BAD_REQUEST, "the form is malformed"))
}
