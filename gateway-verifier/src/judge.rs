//! The decision: who calls, and whether this request may go on. One, for all fronts.
//! Not here: how a request arrived, and how a rejection is written.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use symbolon_http::forward::{Cleared, TrailerFilter, Upstream};
use symbolon_http::tunnel::Terms;
use symbolon_http::upgrade::Asked;
use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_wire::header as names;
use tokio::time::Instant;

use crate::caller::VerifiedCaller;
use crate::clock::Moment;
use crate::credentials::Credentials;
use crate::headers;
use crate::ids::Ids;
use crate::rejection::Rejection;
use crate::request::RequestView;
use crate::routes::{Route, Routes, VerifyRule};
use crate::stages::verify::Verifier;
use crate::streams::{Guard, Open, Sockets};

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
    request_id: HeaderValue,
    guard: Option<Guard>,
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
        if request.asked == Asked::WebSocket && !route.streams.admits_origin(request.headers) {
            let rejection = Rejection::new(ReasonCode::OriginNotAllowed);
            return Err(Refused { rejection, route: Some(Arc::clone(route)) });
        }
        match self.caller(route, request, now).await {
            Ok(caller) => Ok(Admitted {
                route: Arc::clone(route),
                caller,
                request_id: self.ids.request(),
                guard: None,
                sockets: None,
            }),
            Err(rejection) => Err(Refused { rejection, route: Some(Arc::clone(route)) }),
        }
    }

    /// Who calls. A route is left without a verified caller only if it is public, and then only by a request that
    /// presented nothing at all: an invalid credential is never taken for none.
    async fn caller(
        &self,
        route: &Route,
        request: &RequestView<'_>,
        now: Timestamp,
    ) -> Result<Caller, Rejection> {
        let Some(rule) = &route.verify else {
            let public = route.public.then_some(Caller::Anonymous);
            return public.ok_or_else(|| Rejection::new(ReasonCode::TokenMissing));
        };
        match Credentials::read(request.headers, request.query())? {
            None if route.public => Ok(Caller::Anonymous),
            None => Err(Rejection::new(ReasonCode::TokenMissing)),
            Some(credentials) => {
                let passed = self.verifier.pass(rule, &credentials, request, now).await?;
                Ok(Caller::Verified { caller: passed.caller, fresh: passed.fresh })
            }
        }
    }

    /// The routes, for what is answered without a decision.
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.routes
    }
}

impl Admitted {
    /// The route.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Registers what comes of it as open until its caller's token ends, plus the grace of the route.
    pub fn hold(&mut self, open: &Open, now: Moment) {
        let Caller::Verified { caller, .. } = &self.caller else { return };
        let left = now.until(caller.token().claims().expires_at).saturating_add(self.route.streams.grace);
        let tick = Instant::now();
        // INVARIANT: a sum that cannot be said is centuries away; until then its token's end is checked on each request.
        self.guard = tick.checked_add(left).map(|deadline| open.register(caller, deadline));
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
        if let (Caller::Verified { caller, .. }, Some(rule)) = (&self.caller, &self.route.verify) {
            identify(headers, caller, rule);
        }
    }

    fn trailer_filter(&self) -> Option<TrailerFilter> {
        Some(strip_trailers)
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
