//! The door of one upstream: plain HTTP in, the same request with its credential out.
//! It decides nothing about paths and methods, and keeps nothing of what streams through.

use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response};
use symbolon_http::Body;
use symbolon_http::forward::Forwarder;
use symbolon_http::target::{check_framing, check_method};
use symbolon_http::upgrade;
use symbolon_proof::ProofKey;

use super::gate::Gate;
use crate::armed::{Armed, has_credentials};
use crate::config::AppAuthorization;
use crate::credentials::Account;
use crate::metrics::{Outcome, RequestMetrics, UpstreamLabel};
use crate::renewals::Renewals;
use crate::settings::Target;
use crate::time::Time;
use crate::turned_away::TurnedAway;

/// What the requests of one upstream need to leave.
#[derive(Debug)]
pub(crate) struct Reverse {
    pub(crate) label: UpstreamLabel,
    pub(crate) target: Arc<Target>,
    pub(crate) app_authorization: AppAuthorization,
    pub(crate) account: Arc<Account>,
    pub(crate) key: Arc<ProofKey>,
    pub(crate) forwarder: Forwarder<Armed>,
    /// The same with a new connection for each request.
    pub(crate) anew: Forwarder<Armed>,
    pub(crate) time: Time,
    pub(crate) metrics: RequestMetrics,
    pub(crate) renewals: Arc<Renewals>,
}

impl Reverse {
    /// Forwards the request, or answers why not.
    pub(crate) async fn answer(&self, gate: &Gate, request: Request<Body>) -> Response<Body> {
        match self.forward(gate, request).await {
            Ok(answer) => {
                self.metrics.served(&self.label, Outcome::Forwarded);
                answer
            }
            Err(turned_away) => {
                self.metrics.served(&self.label, turned_away.outcome());
                let (status, code) = turned_away.verdict();
                tracing::debug!(
                    event.name = "request.turned_away",
                    upstream = self.label.0.as_str(),
                    status = status.as_u16(),
                    code = code.as_str(),
                    "a request was not forwarded"
                );
                turned_away.answer()
            }
        }
    }

    async fn forward(&self, gate: &Gate, request: Request<Body>) -> Result<Response<Body>, TurnedAway> {
        let (head, body) = request.into_parts();
        gate.check(&head)?;
        self.check(&head)?;
        let credential = self.account.credential().await?;
        let place = (&*self.key, &self.target);
        let armed = Armed::new(&credential, &self.renewals, place, &head, self.time.now());
        let armed = armed.map_err(|error| self.unarmed(&error))?;
        let answer = self.forwarder.forward(armed, Request::from_parts(head, body)).await;
        answer.map_err(|error| {
            if error.is_our_fault() {
                let upstream = self.label.0.as_str();
                tracing::warn!(event.name = "request.failed", upstream, %error, "the API gave no answer");
            }
            TurnedAway::from(error)
        })
    }

    /// What can be refused before a credential is even looked at.
    fn check(&self, head: &Parts) -> Result<(), TurnedAway> {
        upgrade::asked(head).map_err(|_| TurnedAway::Upgrade)?;
        check_framing(head).and_then(|()| check_method(head)).map_err(|_| TurnedAway::Malformed)?;
        match self.app_authorization {
            AppAuthorization::Refuse if has_credentials(&head.headers) => Err(TurnedAway::AppCredential),
            AppAuthorization::Refuse | AppAuthorization::Replace => Ok(()),
        }
    }

    fn unarmed(&self, error: &crate::armed::ArmError) -> TurnedAway {
        let upstream = self.label.0.as_str();
        tracing::error!(event.name = "request.unarmed", upstream, %error, "no proof could be made");
        TurnedAway::TokenUnavailable { retry_after: std::time::Duration::ZERO }
    }
}
