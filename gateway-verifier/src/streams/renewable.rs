//! Streams that may go on with another token of the same caller: what is remembered of each, and who is the same.
//! Not here: whether the caller may still do what the stream does, which its route decides anew (`fronts/renewal.rs`).

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, response};
use symbolon_http::grpc::is_grpc;
use symbolon_http::server::ConnectionInfo;
use symbolon_http::streams::{Guard, Holder, Renewal, StreamName};
use symbolon_identity::{Audience, RouteName, Timestamp};
use symbolon_token::VerifiedToken;
use symbolon_wire::header;
use tokio::time::Instant;

use super::Open;
use crate::caller::VerifiedCaller;
use crate::routes::Route;

const STREAM: HeaderName = HeaderName::from_static(header::SYMBOLON_STREAM);
const DPOP: HeaderName = HeaderName::from_static(header::DPOP);
/// A stream is renewed at most this often.
const PACE: Duration = Duration::from_secs(1);
/// A stream rests on so many earlier tokens that are not over: a revocation of any of them ends it, so none is forgotten.
const EARLIER_MOST: usize = 8;

/// The request that opened a stream, without its credentials: what its route judges again.
pub struct Opening {
    head: Parts,
    route: RouteName,
}

/// The holder of a stream that has a name.
pub(super) struct Renewable {
    caller: Arc<VerifiedCaller>,
    before: Vec<Arc<VerifiedCaller>>,
    opening: Arc<Opening>,
    renewed: Option<Instant>,
}

/// An open stream that was found by its name.
pub struct Found {
    name: StreamName,
    holder: Holder,
    stream: Arc<Renewable>,
}

/// Its headers may hold cookies.
impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("route", &self.route).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("route", &self.stream.opening.route).finish_non_exhaustive()
    }
}

impl Opening {
    /// Remembers a request on this route, if a stream may come of it: a WebSocket, events, a gRPC call.
    #[must_use]
    pub fn of(head: &Parts, route: &Route) -> Option<Self> {
        if !route.streams.renewal || !asks_for_stream(&head.headers) {
            return None;
        }
        // Anew: the received one also holds the connection.
        let mut kept = Request::new(()).into_parts().0;
        (kept.method, kept.uri, kept.version) = (head.method.clone(), head.uri.clone(), head.version);
        kept.headers = head.headers.clone();
        kept.headers.remove(AUTHORIZATION);
        kept.headers.remove(DPOP);
        if let Some(connection) = head.extensions.get::<ConnectionInfo>() {
            kept.extensions.insert(connection.clone());
        }
        Some(Self { head: kept, route: route.name.clone() })
    }

    /// Names the stream that this answer opens, and tells its holder; an answer of another kind is left as it is.
    pub(crate) fn name(
        self: Arc<Self>,
        guard: &Guard,
        caller: &Arc<VerifiedCaller>,
        answer: &mut response::Parts,
    ) {
        let mut random = [0; 16];
        if !is_stream(answer) || getrandom::fill(&mut random).is_err() {
            return;
        }
        let name = StreamName::from_random(random);
        let Ok(mut value) = HeaderValue::try_from(name.to_text()) else { return };
        value.set_sensitive(true);
        answer.headers.insert(STREAM, value);
        let caller = Arc::clone(caller);
        let stream = Renewable { caller, before: Vec::new(), opening: self, renewed: None };
        guard.name(name, Arc::new(stream));
    }
}

/// Whether a request may open a stream that lives long. A gRPC call does not say whether it will.
fn asks_for_stream(headers: &HeaderMap) -> bool {
    let events = |accept: &HeaderValue| accept.to_str().is_ok_and(|list| list.contains("text/event-stream"));
    headers.contains_key(UPGRADE) || is_grpc(headers) || headers.get_all(ACCEPT).iter().any(events)
}

fn is_stream(answer: &response::Parts) -> bool {
    let kind = answer.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let events = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
    answer.status == StatusCode::SWITCHING_PROTOCOLS || events || is_grpc(&answer.headers)
}

impl Renewable {
    /// All whose tokens it rests on.
    pub(super) fn callers(&self) -> impl Iterator<Item = &VerifiedCaller> {
        std::iter::once(&self.caller).chain(&self.before).map(|caller| &**caller)
    }
}

impl Renewable {
    /// The tokens that it rests on beside a new one, as long as they are not over.
    fn earlier_than(
        &self,
        new: &VerifiedCaller,
        now: Timestamp,
    ) -> impl Iterator<Item = &Arc<VerifiedCaller>> {
        let new = new.token().hash();
        let counts = move |token: &VerifiedToken| token.claims().expires_at > now && token.hash() != new;
        std::iter::once(&self.caller).chain(&self.before).filter(move |earlier| counts(earlier.token()))
    }
}

impl Open {
    /// The open stream that this header names.
    #[must_use]
    pub fn find(&self, headers: &HeaderMap) -> Option<Found> {
        let mut values = headers.get_all(STREAM).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        let name = StreamName::parse(value.to_str().ok()?)?;
        let holder = self.streams.holder(name)?;
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(&holder);
        Some(Found { name, holder, stream: any.downcast().ok()? })
    }

    /// Lets a stream go on until `deadline`, resting on the token of `caller`. Fails if it has ended since it was found, or
    /// was renewed by somebody else.
    #[must_use]
    pub fn renew(
        &self,
        found: &Found,
        caller: &Arc<VerifiedCaller>,
        deadline: Instant,
        now: Timestamp,
    ) -> bool {
        let Found { name, holder, stream } = found;
        let renewed = Renewable {
            caller: Arc::clone(caller),
            before: stream.earlier_than(caller, now).cloned().collect(),
            opening: Arc::clone(&stream.opening),
            renewed: Some(Instant::now()),
        };
        self.streams.renew(*name, holder, Renewal { holder: Arc::new(renewed), deadline })
    }
}

impl Found {
    /// The route that let the stream in.
    #[must_use]
    pub fn route(&self) -> &RouteName {
        &self.stream.opening.route
    }

    /// The caller whose token it rests on.
    #[must_use]
    pub fn caller(&self) -> &Arc<VerifiedCaller> {
        &self.stream.caller
    }

    /// The request that opened it, as if it had come with the credentials of `renewal`.
    #[must_use]
    pub fn request(&self, renewal: &HeaderMap) -> Parts {
        let mut head = self.stream.opening.head.clone();
        for name in [AUTHORIZATION, DPOP] {
            for value in renewal.get_all(&name) {
                head.headers.append(&name, value.clone());
            }
        }
        head
    }

    /// Whether this is the caller that opened it, by everything but time and scopes.
    #[must_use]
    pub fn belongs_to(&self, caller: &VerifiedCaller) -> bool {
        let (ours, theirs) = (self.caller().token().claims(), caller.token().claims());
        let are_among = |some: &[Audience], all: &[Audience]| some.iter().all(|one| all.contains(one));
        let same_audiences =
            are_among(&ours.audiences, &theirs.audiences) && are_among(&theirs.audiences, &ours.audiences);
        self.caller().issuer_name() == caller.issuer_name()
            && ours.issuer == theirs.issuer
            && ours.subject == theirs.subject
            && ours.client_id == theirs.client_id
            && ours.actor == theirs.actor
            && ours.confirmation == theirs.confirmation
            && same_audiences
    }

    /// Whether it can rest on one more token without forgetting an earlier one.
    #[must_use]
    pub fn has_room_for(&self, caller: &VerifiedCaller, now: Timestamp) -> bool {
        self.stream.earlier_than(caller, now).count() <= EARLIER_MOST
    }

    /// Whether it was renewed a moment ago.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.stream.renewed.is_some_and(|renewed| renewed.elapsed() < PACE)
    }
}
