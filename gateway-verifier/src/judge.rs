//! The decision: who calls, and whether this request may go on. One, for all fronts.
//! Not here: how a request arrived, and how a rejection is written.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, response};
use symbolon_http::forward::{Cleared, Kept, TrailerFilter, Upstream};
use symbolon_http::grpc;
use symbolon_http::tunnel::Terms;
use symbolon_http::upgrade::Asked;
use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_policies::Permit;
use symbolon_wire::header as names;
use tokio::time::Instant;

use crate::caller::VerifiedCaller;
use crate::clock::Moment;
use crate::credentials::Credentials;
use crate::headers;
use crate::ids::Ids;
use crate::rejection::Rejection;
use crate::request::RequestView;
use crate::routes::{Route, Routes};
use crate::stages::authorize::Authorize;
use crate::stages::verify::{Presented, Verifier, VerifyRule};
use crate::stages::when::Facts;
use crate::stages::{Kind, Progress};
use crate::streams::{Guard, Open, Opening, Sockets};

/// Decides requests by one configuration.
#[derive(Debug)]
pub struct Judge {
    routes: Routes,
    verifier: Verifier,
    ids: Arc<Ids>,
}

/// Who was let through.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A caller whose token was verified, and whether that was just now.
    Verified {
        /// The caller.
        caller: Arc<VerifiedCaller>,
        /// Whether the token was verified for this request, rather than before.
        fresh: bool,
    },
    /// Nobody in particular, on a public route.
    Anonymous,
}

/// A request that may go on. Made only by [`Judge::decide`]; without one nothing is forwarded.
#[derive(Debug)]
pub struct Admitted {
    route: Arc<Route>,
    caller: Caller,
    permits: Vec<Permit>,
    request_id: HeaderValue,
    guard: Option<Guard>,
    opening: Option<Arc<Opening>>,
    sockets: Option<Sockets>,
}

/// A request that may not go on.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub rejection: Rejection,
    /// On which route, if one was found.
    pub route: Option<Arc<Route>>,
}

impl Judge {
    /// A judge by these routes.
    #[must_use]
    pub fn new(routes: Routes, verifier: Verifier, ids: Arc<Ids>) -> Self {
        Self { routes, verifier, ids }
    }

    /// Decides one request.
    ///
    /// # Errors
    /// [`Refused`] with the first reason against it.
    pub async fn decide(&self, request: &RequestView<'_>, now: Timestamp) -> Result<Admitted, Refused> {
        let Some(route) = self.routes.find(request) else {
            return Err(Refused { rejection: Rejection::new(ReasonCode::RouteNotFound), route: None });
        };
        let refused = |rejection| Refused { rejection, route: Some(Arc::clone(route)) };
        if request.asked == Asked::WebSocket && !route.streams.admits_origin(request.headers) {
            return Err(refused(Rejection::new(ReasonCode::OriginNotAllowed)));
        }
        let mut walk = Walk::new(route, request, now);
        match self.walk(&mut walk).await {
            Ok(caller) => Ok(Admitted {
                route: Arc::clone(route),
                caller,
                permits: walk.permits,
                request_id: self.ids.request(),
                guard: None,
                opening: None,
                sockets: None,
            }),
            Err(rejection) => Err(refused(walk.signed(rejection))),
        }
    }

    /// Passes the stages in their order, each one whose condition holds.
    async fn walk(&self, walk: &mut Walk<'_>) -> Result<Caller, Rejection> {
        for (at, stage) in walk.route.stages.iter().enumerate() {
            walk.progress.at = at;
            if let Some(when) = &stage.when
                && !walk.facts.holds(when, walk.caller.as_deref())?
            {
                walk.progress.skip();
                continue;
            }
            match &stage.kind {
                Kind::Verify(rule) => self.verify(rule, walk).await?,
                Kind::Authorize(authorize) => walk.authorize(authorize)?,
            }
        }
        walk.progress.at = walk.route.stages.iter().len();
        walk.finish()
    }

    /// Verifies what was presented; nothing at all passes here on a public route only. An invalid credential is never
    /// taken for none.
    async fn verify(&self, rule: &VerifyRule, walk: &mut Walk<'_>) -> Result<(), Rejection> {
        let Some(credentials) = Credentials::read(walk.request.headers, walk.request.query())? else {
            let public = walk.route.public.then_some(());
            return public.ok_or_else(|| Rejection::new(ReasonCode::TokenMissing));
        };
        let used = walk.caller.is_some();
        let presented = Presented { credentials, request: walk.request, now: walk.now, used };
        let passed = self.verifier.pass(rule, &presented).await?;
        walk.fresh |= passed.fresh;
        walk.caller = Some(passed.caller);
        Ok(())
    }

    /// The routes, for what is answered without a decision.
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.routes
    }
}

/// One request on its way through the stages of its route.
struct Walk<'a> {
    route: &'a Route,
    request: &'a RequestView<'a>,
    now: Timestamp,
    facts: Facts<'a>,
    progress: Progress,
    caller: Option<Arc<VerifiedCaller>>,
    fresh: bool,
    permits: Vec<Permit>,
}

impl<'a> Walk<'a> {
    fn new(route: &'a Route, request: &'a RequestView<'a>, now: Timestamp) -> Self {
        let facts = Facts::new(request, route.stages.facts());
        let progress = Progress::default();
        Self { route, request, now, facts, progress, caller: None, fresh: false, permits: Vec::new() }
    }

    /// Asks policies about the verified caller; nobody can be asked about who was not verified.
    fn authorize(&mut self, authorize: &Authorize) -> Result<(), Rejection> {
        let Some(caller) = &self.caller else { return Err(self.unverified()) };
        self.permits.push(authorize.ask(caller, self.request, self.now)?);
        Ok(())
    }

    /// Who passed all stages. INVARIANT: without a verified caller only a public route is left, however many `verify`
    /// stages were skipped.
    fn finish(&mut self) -> Result<Caller, Rejection> {
        match self.caller.take() {
            Some(caller) => Ok(Caller::Verified { caller, fresh: self.fresh }),
            None if self.route.public => Ok(Caller::Anonymous),
            None => Err(self.unverified()),
        }
    }

    /// The rejection of a request that no `verify` admitted where one is needed.
    fn unverified(&self) -> Rejection {
        match Credentials::read(self.request.headers, self.request.query()) {
            Ok(None) => Rejection::new(ReasonCode::TokenMissing).because("no `verify` stage applied"),
            Ok(Some(_)) => Rejection::new(ReasonCode::Denied)
                .because("no `verify` stage applied to this request, and one is needed here")
                .compared("a `verify` stage whose `when` holds", "none"),
            Err(rejection) => rejection,
        }
    }

    /// A rejection with where it happened, and to whom.
    fn signed(&self, rejection: Rejection) -> Rejection {
        let rejection = rejection.at(self.progress);
        match &self.caller {
            Some(caller) if rejection.caller().is_none() => rejection.of(caller),
            Some(_) | None => rejection,
        }
    }
}

impl Admitted {
    /// The route.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// What policies permitted.
    #[must_use]
    pub fn permits(&self) -> &[Permit] {
        &self.permits
    }

    /// The caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Registers what comes of it as open until its caller's token ends, plus the grace of the route. All `verify` stages
    /// of a route have seen one token, that of the request.
    pub fn hold(&mut self, open: &Open, now: Moment) {
        let Caller::Verified { caller, .. } = &self.caller else { return };
        // INVARIANT: an end that cannot be said is centuries away; until then the token's end is checked on each request.
        let deadline = self.route.streams.deadline(caller, now);
        self.guard = deadline.map(|deadline| open.register(caller, deadline));
    }

    /// Remembers the request of a verified caller for as long as its stream lives, if one may come of it.
    pub fn remember(&mut self, head: &Parts) {
        let Some(end) = self.guard.as_ref().and_then(Guard::deadline) else { return };
        let left = end.saturating_duration_since(Instant::now());
        // Such a call needs no other token.
        let is_short = grpc::timeout(&head.headers).is_some_and(|timeout| timeout <= left);
        if !is_short {
            self.opening = Opening::of(head, &self.route).map(Arc::new);
        }
    }

    /// Has the WebSocket counted that comes of it.
    pub fn count_socket(&mut self, sockets: &Sockets) {
        self.sockets = Some(sockets.clone());
    }
}

impl Cleared for Admitted {
    fn upstream(&self) -> &Upstream {
        &self.route.upstream.address
    }

    /// Strip first, then set: what the API reads of a caller comes from the verified token only.
    fn edit_request(&self, headers: &mut HeaderMap) {
        headers::strip(headers, self.route.forward_credential);
        headers.reserve(MOST_SET);
        headers.insert(&REQUEST_ID, self.request_id.clone());
        if let (Caller::Verified { caller, .. }, Some(rule)) = (&self.caller, self.route.stages.verify()) {
            identify(headers, caller, rule);
        }
    }

    /// The name of a stream is ours to give.
    fn edit_response(&mut self, headers: &mut HeaderMap) {
        headers.remove(&STREAM);
    }

    fn trailer_filter(&self) -> Option<TrailerFilter> {
        Some(strip_trailers)
    }

    fn opened(&mut self, guard: Option<&Guard>, answer: &mut response::Parts) -> Option<Kept> {
        if let (Some(opening), Some(guard), Caller::Verified { caller, .. }) =
            (self.opening.take(), guard, &self.caller)
        {
            opening.name(guard, caller, answer);
        }
        None
    }

    /// The end of its token ends a call that says too much.
    fn may_wait(&self) -> bool {
        matches!(self.caller, Caller::Verified { .. })
    }

    fn take_guard(&mut self) -> Option<Guard> {
        self.guard.take()
    }

    fn tunnel_terms(&mut self) -> Terms {
        Terms {
            idle_timeout: self.route.streams.idle_timeout,
            observer: self.sockets.as_ref().map(|sockets| sockets.open(&self.route.name)),
        }
    }
}

/// What the firewall removes from headers it removes from trailers, credentials on every route.
fn strip_trailers(trailers: &mut HeaderMap) {
    headers::strip(trailers, false);
}

/// The most headers that are set on one request.
const MOST_SET: usize = 7;

// Parsed once, rather than on each request.
static REQUEST_ID: HeaderName = HeaderName::from_static(names::REQUEST_ID);
static STREAM: HeaderName = HeaderName::from_static(names::SYMBOLON_STREAM);
static WORKLOAD_ID: HeaderName = HeaderName::from_static(names::WORKLOAD_ID);
static WORKLOAD_SUBJECT: HeaderName = HeaderName::from_static(names::WORKLOAD_SUBJECT);
static WORKLOAD_ISSUER: HeaderName = HeaderName::from_static(names::WORKLOAD_ISSUER);
static WORKLOAD_AUDIENCE: HeaderName = HeaderName::from_static(names::WORKLOAD_AUDIENCE);
static WORKLOAD_SCOPE: HeaderName = HeaderName::from_static(names::WORKLOAD_SCOPE);
static WORKLOAD_ACTORS: HeaderName = HeaderName::from_static(names::WORKLOAD_ACTORS);

fn identify(headers: &mut HeaderMap, caller: &VerifiedCaller, rule: &VerifyRule) {
    let identity = caller.headers();
    headers.insert(&WORKLOAD_ID, identity.id.clone());
    headers.insert(&WORKLOAD_SUBJECT, identity.subject.clone());
    headers.insert(&WORKLOAD_ISSUER, identity.issuer.clone());
    headers.insert(&WORKLOAD_AUDIENCE, rule.audience_header.clone());
    if let Some(scope) = &identity.scope {
        headers.insert(&WORKLOAD_SCOPE, scope.clone());
    }
    if let Some(actors) = &identity.actors {
        headers.insert(&WORKLOAD_ACTORS, actors.clone());
    }
}
