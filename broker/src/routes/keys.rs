//! `/v1/keys` on the admin socket: the signing keys, listed and changed by operators.
//! Not here: what may be changed (`keys::desk`), or the public keys for verifiers (`routes::jwks`).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, StatusCode};
use symbolon_http::server::ConnectionInfo;
use symbolon_jws::{Algorithm, Thumbprint};
use symbolon_wire::{KeyDocument, KeyList, KeyProblem, KeyState, RevokedKeyDocument};
use tokio::time::timeout;

use super::operators::{self, Operators};
use crate::keys::{Ask, KeyDesk, KeyRefusal, KeyReport, Phase, PlannedKey};

/// `algorithm=` and a name.
const MAX_BODY: usize = 1024;
/// The longest an answer may take; an RSA key has to be made within it.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// What the routes need.
#[derive(Debug)]
pub(crate) struct KeysRoute {
    /// The way to the keeper of the keys.
    pub(crate) desk: KeyDesk,
    /// Who may ask.
    pub(crate) operators: Operators,
}

type Shared = State<Arc<KeysRoute>>;
type Connection = Extension<ConnectionInfo>;

/// Why there is no list of keys.
#[derive(Debug)]
enum Problem {
    Stranger,
    Body(StatusCode, &'static str),
    NoKeyId,
    Algorithm,
    Late,
    Refused(KeyRefusal),
}

pub(super) async fn list(State(route): Shared, Extension(connection): Connection) -> Response {
    respond(route.ask(&connection, Ask::List).await)
}

pub(super) async fn rotate(
    State(route): Shared,
    Extension(connection): Connection,
    request: Request<Body>,
) -> Response {
    let ask = async {
        route.admit(&connection)?;
        let only = algorithm(request).await?;
        route.ask(&connection, Ask::Rotate(only)).await
    };
    respond(ask.await)
}

pub(super) async fn retire(
    State(route): Shared,
    Extension(connection): Connection,
    Path(key): Path<String>,
    request: Request<Body>,
) -> Response {
    respond(route.ask_about(&connection, &key, request, Ask::Retire).await)
}

pub(super) async fn revoke(
    State(route): Shared,
    Extension(connection): Connection,
    Path(key): Path<String>,
    request: Request<Body>,
) -> Response {
    respond(route.ask_about(&connection, &key, request, Ask::Revoke).await)
}

impl KeysRoute {
    fn admit(&self, connection: &ConnectionInfo) -> Result<u32, Problem> {
        self.operators.admit(connection).ok_or(Problem::Stranger)
    }

    async fn ask_about(
        &self,
        connection: &ConnectionInfo,
        key: &str,
        request: Request<Body>,
        ask: fn(Thumbprint) -> Ask,
    ) -> Result<KeyReport, Problem> {
        self.admit(connection)?;
        if !body(request.into_body()).await?.is_empty() {
            return Err(Problem::Body(StatusCode::BAD_REQUEST, "this takes no parameters"));
        }
        let id = Thumbprint::parse(key).map_err(|_| Problem::NoKeyId)?;
        self.ask(connection, ask(id)).await
    }

    async fn ask(&self, connection: &ConnectionInfo, ask: Ask) -> Result<KeyReport, Problem> {
        let uid = self.admit(connection)?;
        // What is asked for is done also if we stop waiting: the keeper finishes what it has begun.
        match timeout(ANSWER_TIME, self.desk.ask(ask, uid)).await {
            Ok(answer) => answer.map_err(Problem::Refused),
            Err(_) => Err(Problem::Late),
        }
    }
}

/// The one parameter of a rotation, if there is one.
async fn algorithm(request: Request<Body>) -> Result<Option<Algorithm>, Problem> {
    let (head, content) = request.into_parts();
    let content = body(content).await?;
    if content.is_empty() {
        return Ok(None);
    }
    if !operators::is_form(&head.headers) {
        return Err(Problem::Body(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is not a form"));
    }
    let mut pairs = url::form_urlencoded::parse(&content);
    match (pairs.next(), pairs.next()) {
        (Some((name, value)), None) if name == "algorithm" => {
            value.parse().map(Some).map_err(|_| Problem::Algorithm)
        }
        _ => Err(Problem::Body(StatusCode::BAD_REQUEST, "the only parameter is `algorithm`, once")),
    }
}

async fn body(body: Body) -> Result<Bytes, Problem> {
    operators::body(body, MAX_BODY).await.map_err(|(status, problem)| Problem::Body(status, problem))
}

fn respond(outcome: Result<KeyReport, Problem>) -> Response {
    let mut response = match outcome {
        Ok(report) => Json(document(&report)).into_response(),
        Err(problem) => {
            let (status, code) = problem.face();
            let error = problem.sentence();
            (status, Json(KeyProblem { code: code.to_owned(), error })).into_response()
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Problem {
    /// Status and stable code.
    fn face(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Stranger => (StatusCode::FORBIDDEN, "denied"),
            Self::Body(StatusCode::PAYLOAD_TOO_LARGE, _) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Body(status, _) => (*status, "malformed_request"),
            Self::NoKeyId => (StatusCode::BAD_REQUEST, "malformed_request"),
            Self::Algorithm | Self::Refused(KeyRefusal::NotInUse(_)) => {
                (StatusCode::BAD_REQUEST, "algorithm_not_in_use")
            }
            Self::Refused(KeyRefusal::Unknown) => (StatusCode::NOT_FOUND, "unknown_key"),
            Self::Refused(KeyRefusal::Signs) => (StatusCode::CONFLICT, "key_signs"),
            Self::Refused(KeyRefusal::Retired) => (StatusCode::CONFLICT, "key_retired"),
            Self::Refused(KeyRefusal::UnderWay) => (StatusCode::CONFLICT, "rotation_under_way"),
            Self::Late | Self::Refused(KeyRefusal::Busy) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Refused(KeyRefusal::Failed(_)) => (StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable"),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Stranger => Operators::REFUSAL.to_owned(),
            Self::Body(_, sentence) => (*sentence).to_owned(),
            Self::NoKeyId => "this is not a key id".to_owned(),
            Self::Algorithm => "tokens are not signed with this algorithm".to_owned(),
            Self::Late => "it takes too long; look at the list before you repeat it".to_owned(),
            Self::Refused(refusal) => crate::error_chain(refusal),
        }
    }
}

fn document(report: &KeyReport) -> KeyList {
    let key = |PlannedKey { life, next_change }: &PlannedKey| KeyDocument {
        kid: life.id.to_string(),
        algorithm: life.algorithm.to_string(),
        state: match life.phase() {
            Phase::Published => KeyState::Published,
            Phase::Active => KeyState::Active,
            Phase::Retired => KeyState::Retired,
        },
        published_at: life.published_at,
        activated_at: life.activated_at,
        retired_at: life.retired_at,
        tokens_until: life.tokens_until,
        next_change_at: *next_change,
    };
    KeyList {
        keys: report.keys.iter().map(key).collect(),
        revoked: report
            .revoked
            .iter()
            .map(|revoked| RevokedKeyDocument {
                kid: revoked.id.to_string(),
                revoked_at: revoked.revoked_at,
                until: revoked.until,
            })
            .collect(),
    }
}
