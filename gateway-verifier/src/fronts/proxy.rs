//! The reverse proxy: one request in, judged, and the same request out.
//! Not here: why (`judge.rs`), and how bytes move (`symbolon-http`).

use std::error::Error as _;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Method, Request, Response};
use symbolon_http::Body;
use symbolon_http::forward::ForwardError;
use symbolon_http::server::{ConnectionInfo, Handler};
use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_wire::paths::PROTECTED_RESOURCE_METADATA;

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
use crate::trail::Trail;

/// The reverse proxy front.
#[derive(Debug, Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    house: Arc<ArcSwap<House>>,
    trail: Arc<Trail>,
    ids: Arc<Ids>,
    now: Now,
}

impl Proxy {
    /// A front on the house that `house` holds at the moment of each request.
    #[must_use]
    pub fn new(house: Arc<ArcSwap<House>>, trail: Arc<Trail>, ids: Arc<Ids>, now: Now) -> Self {
        Self { shared: Arc::new(Shared { house, trail, ids, now }) }
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
        let decided = match RequestView::read(&head) {
            Ok(view) => match metadata(&house.judge, &view) {
                Some(Ok(answer)) => return answer,
                Some(Err(rejection)) => Err(Refused { rejection, route: None }),
                None => house.judge.decide(&view, now).await,
            },
            Err(rejection) => Err(Refused { rejection, route: None }),
        };
        let failed = match decided {
            Ok(admitted) => {
                self.note(&admitted, source, now);
                let (route, method, uri) =
                    (Arc::clone(admitted.route()), head.method.clone(), head.uri.clone());
                match house.forward(admitted, Request::from_parts(head, body)).await {
                    Ok(answer) => return answer,
                    Err(error) => (Refused { rejection: failure(&error), route: Some(route) }, method, uri),
                }
            }
            Err(refused) => (refused, head.method, head.uri),
        };
        let (Refused { rejection, route }, method, uri) = failed;
        let at = Circumstances { id: self.ids.decision(now), time: now, route, source };
        let answer = answer::rejected(&rejection, at.route.as_deref(), at.id.clone());
        self.trail.rejected(Rejected { at, rejection, request: decisions::shown(&method, uri.path()) });
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
        ForwardError::UpgradeNotAllowed => ReasonCode::UpgradeNotAllowed,
        ForwardError::TooLarge { .. } => ReasonCode::TooLarge,
        ForwardError::UpstreamUnavailable { .. } | ForwardError::UpstreamProtocol { .. } => {
            ReasonCode::UpstreamUnavailable
        }
        ForwardError::UpstreamTimeout { .. } => ReasonCode::UpstreamTimeout,
        ForwardError::Busy { .. } => ReasonCode::Busy,
    };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Rejection::new(code).because(text)
}
