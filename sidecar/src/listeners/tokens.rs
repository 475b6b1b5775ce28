//! The local token endpoint: `GET /v1/token?upstream=NAME`, for callers that send their requests themselves.
//! A bound token it hands out works only with this sidecar's key, so this is of use for bearer resources and for looking.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use symbolon_http::Body;
use symbolon_identity::UpstreamName;
use symbolon_wire::{TokenAnswer, header, paths};

use super::gate::Gate;
use crate::credentials::{Account, Credential};
use crate::time::Time;
use crate::turned_away::TurnedAway;

/// The tokens that local callers may ask for.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) accounts: BTreeMap<UpstreamName, Arc<Account>>,
    pub(crate) time: Time,
}

impl Tokens {
    /// Hands the token out, or answers why not.
    pub(crate) async fn answer(&self, gate: &Gate, request: Request<Body>) -> Response<Body> {
        let (head, _) = request.into_parts();
        let answer = match self.account(gate, &head) {
            Ok(account) => account.credential().await.map_err(TurnedAway::from),
            Err(turned_away) => Err(turned_away),
        };
        answer.map_or_else(|turned_away| turned_away.answer(), |credential| self.hand_out(&credential))
    }

    fn account(&self, gate: &Gate, head: &Parts) -> Result<&Arc<Account>, TurnedAway> {
        let target = gate.check(head)?;
        if was_forwarded(&head.headers) {
            return Err(TurnedAway::Forwarded);
        }
        if target.path() != paths::SIDECAR_TOKEN {
            return Err(TurnedAway::NotFound);
        }
        if head.method != Method::GET {
            return Err(TurnedAway::MethodNotAllowed);
        }
        if !has_mark(&head.headers) {
            return Err(TurnedAway::MarkMissing);
        }
        let name =
            target.query().and_then(|query| query.strip_prefix("upstream=")).ok_or(TurnedAway::Malformed)?;
        let name = UpstreamName::parse(name).map_err(|_| TurnedAway::NotFound)?;
        self.accounts.get(&name).ok_or(TurnedAway::NotFound)
    }

    fn hand_out(&self, credential: &Credential) -> Response<Body> {
        let answer = TokenAnswer {
            access_token: credential.expose().to_owned().into(),
            token_type: credential.scheme(),
            expires_in: credential.left(self.time.now()).as_secs(),
            scope: credential.scope().to_owned(),
            issued_token_type: None,
        };
        // INVARIANT: an answer is text and a number, which always become JSON.
        let mut answer = Response::new(Body::from(serde_json::to_vec(&answer).unwrap_or_default()));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }
}

/// Exactly one `Symbolon-Request: true`.
fn has_mark(headers: &HeaderMap) -> bool {
    let mut marks = headers.get_all(header::SYMBOLON_REQUEST).iter();
    let first = marks.next().is_some_and(|mark| mark.as_bytes() == b"true");
    first && marks.next().is_none()
}

/// Whether some proxy says that it passed the request on.
fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name == "forwarded" || name.as_str().starts_with("x-forwarded-"))
}
