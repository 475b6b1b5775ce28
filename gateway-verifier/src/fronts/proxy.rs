//! The reverse proxy: one request in, judged, and the same request out.
//! Not here: why (`judge.rs`), and how bytes move (`symbolon-http`).

use std::error::Error as _;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::UPGRADE;
use http::{Method, Request, Response, StatusCode};
use symbolon_http::Body;
use symbolon_http::forward::ForwardError;
use symbolon_http::server::{ConnectionInfo, Handler};
use symbolon_http::streams::Ending;
use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_wire::paths::PROTECTED_RESOURCE_METADATA;

use super::renewal;
use crate::answer;
use crate::clock::Now;
use crate::decisions::{self, Circumstances, Rejected};
use crate::house::House;
use crate::ids::Ids;
use crate::judge::{Admitted, Caller, Judge, Refused};
use crate::metrics::AdmittedCaller;
use crate::paths::CanonicalPath;
use crate::rejection::Rejection;
use crate::request::{self, RequestView};
use crate::streams::{Handshake, Open, Sockets};
use crate::trail::Trail;

/// The reverse proxy front.
#[derive(Debug, Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

/// What all requests share.
#[derive(Debug)]
pub struct Shared {
    /// The house at the moment of each request.
    pub house: Arc<ArcSwap<House>>,
    /// Where decisions are reported.
    pub trail: Arc<Trail>,
    /// Numbers for decisions.
    pub ids: Arc<Ids>,
    /// The time.
    pub now: Now,
    /// The exchanges that are open.
    pub open: Open,
    /// Counts WebSockets.
    pub sockets: Sockets,
}

impl Proxy {
    /// A front for these.
    #[must_use]
    pub fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }
}

impl Handler for Proxy {
    type Body = Body;

    fn handle(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move { shared.answer(request).await }
    }
}

impl Shared {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let now = self.now.now();
        let house = self.house.load_full();
        let (head, body) = request.into_parts();
        let source = head.extensions.get::<ConnectionInfo>().and_then(request::source);
        let knocks = head.headers.contains_key(UPGRADE);
        let decided = match RequestView::read(&head) {
            Ok(view) => match metadata(&house.judge, &view) {
                Some(Ok(answer)) => return answer,
                Some(Err(rejection)) => Err(Refused { rejection, route: None }),
                None if renewal::is_asked(&view) => {
                    // Boxed: it must not make the future of every request large.
                    match Box::pin(self.renew(&house, (&head, &body), &view)).await {
                        Ok(answer) => return answer,
                        Err(refused) => Err(refused),
                    }
                }
                None => house.judge.decide(&view, now).await,
            },
            Err(rejection) => Err(Refused { rejection, route: None }),
        };
        let failed = match decided.and_then(|admitted| self.held(admitted)) {
            Ok(mut admitted) => {
                self.note(&admitted, source, now);
                let (route, method, uri) =
                    (Arc::clone(admitted.route()), head.method.clone(), head.uri.clone());
                if knocks {
                    admitted.count_socket(&self.sockets);
                }
                admitted.remember(&head);
                let body = patient(body, &admitted);
                match house.forward(admitted, Request::from_parts(head, body)).await {
                    Ok(answer) => {
                        if knocks {
                            self.sockets.handshake(Some(&route.name), outcome(&answer));
                        }
                        return answer;
                    }
                    Err(error) => (Refused { rejection: failure(&error), route: Some(route) }, method, uri),
                }
            }
            Err(refused) => (refused, head.method, head.uri),
        };
        let (refused, method, uri) = failed;
        if knocks {
            let route = refused.route.as_ref().map(|route| &route.name);
            self.sockets.handshake(route, Handshake::Rejected(refused.rejection.code()));
        }
        self.reject(refused, source, now, &decisions::shown(&method, uri.path()))
    }

    /// Takes in what was admitted, so that it ends with its caller's right.
    ///
    /// SECURITY: who was judged before a revocation was told and is taken in after the streams were looked through escapes
    /// both. So it is looked at once more, by the configuration that is in force then.
    fn held(&self, mut admitted: Admitted) -> Result<Admitted, Refused> {
        // Anew, because a decision may have waited for keys.
        let moment = self.now.moment();
        admitted.hold(&self.open, moment);
        let keys = &self.house.load().keys;
        match admitted.caller() {
            Caller::Verified { caller, .. } if keys.withdraw(caller, moment.second()) => {
                let rejection = Rejection::new(ReasonCode::Revoked).of(caller);
                Err(Refused { rejection, route: Some(Arc::clone(admitted.route())) })
            }
            Caller::Verified { .. } | Caller::Anonymous => Ok(admitted),
        }
    }

    /// Answers a rejected request, and reports it.
    fn reject(
        &self,
        refused: Refused,
        source: Option<IpAddr>,
        now: Timestamp,
        request: &str,
    ) -> Response<Body> {
        let Refused { rejection, route } = refused;
        let at = Circumstances { id: self.ids.decision(now), time: now, route, source };
        let answer = answer::rejected(&rejection, at.route.as_deref(), at.id.clone());
        self.trail.rejected(Rejected { at, rejection, request: request.to_owned() });
        answer
    }

    /// Counts who was let through, and puts a caller on record the first time its token opens a route. Its signature may
    /// have been verified before that, for a request that was rejected.
    fn note(&self, admitted: &Admitted, source: Option<IpAddr>, now: Timestamp) {
        let kind = match admitted.caller() {
            Caller::Verified { caller, fresh } => {
                let route = admitted.route();
                if caller.is_first_on(&route.name) {
                    let route = Some(Arc::clone(route));
                    let at = || Circumstances { id: self.ids.decision(now), time: now, route, source };
                    self.trail.admitted(caller, admitted.permits(), at);
                }
                if *fresh { AdmittedCaller::Fresh } else { AdmittedCaller::Known }
            }
            Caller::Anonymous => AdmittedCaller::Anonymous,
        };
        self.trail.permitted(admitted.permits());
        self.trail.metrics().admitted(kind);
    }
}

/// A verified caller may be silent within a request for as long as its route says: its token ends the request anyway.
fn patient(body: Body, admitted: &Admitted) -> Body {
    match admitted.caller() {
        Caller::Verified { .. } => body.with_patience(admitted.route().streams.idle_timeout),
        Caller::Anonymous => body,
    }
}

fn outcome(answer: &Response<Body>) -> Handshake {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS { Handshake::Accepted } else { Handshake::Refused }
}

/// RFC 9728 §3: the gateway itself answers for the resources behind it, and no route can.
fn metadata(judge: &Judge, view: &RequestView<'_>) -> Option<Result<Response<Body>, Rejection>> {
    let path = view.path.as_str().strip_prefix(PROTECTED_RESOURCE_METADATA)?;
    let path = if path.is_empty() { "/" } else { path };
    if !path.starts_with('/') {
        return None;
    }
    let asked = matches!(*view.method, Method::GET | Method::HEAD);
    let path = CanonicalPath::parse(path).ok().filter(|_| asked);
    let rule = path.and_then(|path| judge.routes().described(&view.host(), &path));
    Some(rule.map_or_else(
        || Err(ReasonCode::RouteNotFound.into()),
        |rule| Ok(answer::document(rule.metadata.clone())),
    ))
}

/// The one map from what went wrong upstream to a reason.
fn failure(error: &ForwardError) -> Rejection {
    let code = match error {
        ForwardError::Malformed(_) | ForwardError::Address(_) | ForwardError::ClientAborted => {
            ReasonCode::MalformedRequest
        }
        ForwardError::UpgradeNotAllowed(_) => ReasonCode::UpgradeNotAllowed,
        ForwardError::Ended(Ending::Expired) => ReasonCode::Expired,
        ForwardError::Ended(Ending::Revoked) => ReasonCode::Revoked,
        ForwardError::TooLarge { .. } => ReasonCode::TooLarge,
        ForwardError::UpstreamUnavailable { .. } | ForwardError::UpstreamProtocol { .. } => {
            ReasonCode::UpstreamUnavailable
        }
        ForwardError::UpstreamTimeout { .. } => ReasonCode::UpstreamTimeout,
        ForwardError::Busy { .. } | ForwardError::Ended(Ending::Shutdown) => ReasonCode::Busy,
    };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Rejection::new(code).because(text)
}
