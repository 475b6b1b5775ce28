//! Another token for an open stream: its route judges the opening request again, with the new token and a new proof.
//! Not here: what is remembered of a stream (`streams/renewable.rs`).

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Response};
use http_body::Body as _;
use symbolon_http::Body;
use symbolon_identity::ReasonCode;
use symbolon_wire::paths::STREAM_RENEWAL;

use super::proxy::Shared;
use crate::answer;
use crate::caller::VerifiedCaller;
use crate::credentials::Credentials;
use crate::decisions::Circumstances;
use crate::house::House;
use crate::judge::{Admitted, Caller, Refused};
use crate::rejection::Rejection;
use crate::request::RequestView;
use crate::streams::Found;

/// Whether a request is for the gateway itself, whatever its routes say.
pub(super) fn is_asked(view: &RequestView<'_>) -> bool {
    view.path.as_str() == STREAM_RENEWAL
}

impl Shared {
    /// Renews the stream that a request names, or says why not.
    ///
    /// SECURITY: whoever is not the stream's own caller learns nothing of it: an id that never was, one that is over and
    /// one of another caller have the same answer.
    pub(super) async fn renew(
        &self,
        house: &House,
        (head, body): (&Parts, &Body),
        view: &RequestView<'_>,
    ) -> Result<Response<Body>, Refused> {
        let stranger = |rejection| Refused { rejection, route: None };
        check(view, body).map_err(stranger)?;
        let found =
            self.open.find(&head.headers).ok_or_else(|| stranger(unknown("no open stream has this id")))?;
        let request = found.request(&head.headers);
        let view = RequestView::read(&request).map_err(stranger)?.proved_by(view);
        let admitted = match house.judge.decide(&view, self.now.now()).await {
            Ok(admitted) => admitted,
            Err(refused) => return Err(shown(&found, refused)),
        };
        let refused = |rejection: Rejection| Refused { rejection, route: Some(Arc::clone(admitted.route())) };
        let Caller::Verified { caller, .. } = admitted.caller() else {
            return Err(stranger(unknown("the new credentials are of nobody in particular")));
        };
        if !found.belongs_to(caller) {
            return Err(refused(unknown("the stream is another caller's").of(caller)));
        }
        self.prolong(&found, &admitted, caller).map_err(|rejection| refused(rejection.of(caller)))?;
        let (now, route) = (self.now.now(), admitted.route());
        let at = || Circumstances {
            id: self.ids.decision(now),
            time: now,
            route: Some(Arc::clone(route)),
            source: view.source(),
        };
        self.trail.permitted(admitted.permits());
        self.trail.renewed(caller, admitted.permits(), (&route.name, at));
        Ok(answer::nothing())
    }

    /// Moves the end of a stream to that of a token which was admitted for it.
    fn prolong(
        &self,
        found: &Found,
        admitted: &Admitted,
        caller: &Arc<VerifiedCaller>,
    ) -> Result<(), Rejection> {
        let route = admitted.route();
        if route.name != *found.route() || !route.streams.renewal {
            return Err(Rejection::new(ReasonCode::RouteNotFound)
                .because("the route that let the stream in does not renew it")
                .compared(found.route().as_str(), route.name.as_str()));
        }
        let (old, new) = (&found.caller().token().claims().scopes, &caller.token().claims().scopes);
        if !old.is_subset_of(new) {
            return Err(Rejection::new(ReasonCode::InsufficientScope).compared(old.as_str(), new.as_str()));
        }
        let moment = self.now.moment();
        if found.is_fresh() {
            return Err(ReasonCode::RateLimited.into());
        }
        if !found.has_room_for(caller, moment.second()) {
            return Err(Rejection::new(ReasonCode::RateLimited)
                .because("the stream rests on as many tokens that are not over as it may"));
        }
        let deadline = route.streams.deadline(caller, moment);
        let renew = |deadline| self.open.renew(found, caller, deadline, moment.second());
        if !deadline.is_some_and(renew) {
            return Err(unknown("the stream ended, or was renewed by another request"));
        }
        // As for a request that was just taken in: a revocation may have been told after the decision and before this.
        if self.house.load().keys.withdraw(caller, moment.second()) {
            self.open.end_where(|held| held.token().hash() == caller.token().hash());
            return Err(ReasonCode::Revoked.into());
        }
        Ok(())
    }
}

/// What is asked of the request itself, before any stream is looked for.
fn check(view: &RequestView<'_>, body: &Body) -> Result<(), Rejection> {
    if *view.method != Method::POST {
        return Err(Rejection::new(ReasonCode::RouteNotFound).because("streams are renewed by POST"));
    }
    if !body.is_end_stream() {
        return Err(Rejection::new(ReasonCode::MalformedRequest).because("a renewal has no body"));
    }
    match Credentials::read(view.headers, view.query())? {
        Some(_) => Ok(()),
        None => Err(ReasonCode::TokenMissing.into()),
    }
}

fn unknown(why: &str) -> Rejection {
    Rejection::new(ReasonCode::StreamUnknown).because(why)
}

/// A refusal as it is shown: the reason to the stream's own caller, and an outage to everybody, so that it is tried again.
fn shown(found: &Found, refused: Refused) -> Refused {
    let Refused { rejection, route } = refused;
    let own = rejection.caller().is_some_and(|caller| found.belongs_to(caller));
    if own || rejection.verdict().status.is_server_error() {
        return Refused { rejection, route };
    }
    let hidden = unknown("the new credentials were rejected")
        .compared(format!("credentials for the route {}", found.route()), rejection.code().as_str());
    let hidden = match (rejection.proven_caller(), rejection.caller()) {
        (Some(caller), _) => hidden.of(caller),
        (None, Some(caller)) => hidden.naming(caller),
        (None, None) => hidden,
    };
    Refused { rejection: hidden, route }
}
