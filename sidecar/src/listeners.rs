//! The listeners for local callers: bound first, served once everything else stands.
//! What a listener does with a request is in `reverse.rs` and `tokens.rs`; who may come in, in `gate.rs`.

mod gate;
mod reverse;
mod tokens;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::server::{BindError, Bound, BoundAddress, Limits, Server, ServerMetrics};

pub(crate) use reverse::Reverse;
pub(crate) use tokens::Tokens;

use crate::config::LimitsConfig;
use crate::settings::{Door, Upstream};
use gate::Gate;

/// A stream may be silent this long in the direction of the API.
const BODY_IDLE: Duration = Duration::from_hours(1);

/// A listener for local callers that listens, and does not serve yet.
#[derive(Debug)]
pub(crate) struct Listener {
    bound: Bound,
    gate: Gate,
}

impl Listener {
    /// Binds the door, before an upstream or before the token endpoint.
    pub(crate) fn bind(door: &Door, upstream: Option<&Upstream>) -> Result<Self, BindError> {
        let bound = door.bind().listen()?;
        let port = bound.address().tcp().map(|address| address.port());
        if let Some(address) = bound.address().tcp() {
            tracing::warn!(
                event.name = "listener.open_to_local_processes",
                %address,
                "every process that reaches this address speaks as this workload; a Unix socket with `uids` tells users apart"
            );
        }
        Ok(Self { bound, gate: Gate::new(door, port, upstream) })
    }

    pub(crate) const fn address(&self) -> &BoundAddress {
        self.bound.address()
    }

    /// Serves an upstream.
    pub(crate) fn serve_upstream(
        self,
        reverse: Arc<Reverse>,
        limits: LimitsConfig,
        metrics: &ServerMetrics,
        lifecycle: &Lifecycle,
    ) {
        let gate = Arc::new(self.gate);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (reverse, gate) = (Arc::clone(&reverse), Arc::clone(&gate));
            async move { Ok::<_, Infallible>(reverse.answer(&gate, request).await) }
        });
        let limits = Limits {
            max_connections: limits.connections,
            max_connections_per_peer: Some(limits.per_peer()),
            max_requests: Some(limits.requests),
            body_idle_timeout: BODY_IDLE,
            ..Limits::default()
        };
        Server::new("upstream", self.bound).limits(limits).metrics(metrics.clone()).serve(service, lifecycle);
    }

    /// Serves the token endpoint.
    pub(crate) fn serve_tokens(self, tokens: Arc<Tokens>, metrics: &ServerMetrics, lifecycle: &Lifecycle) {
        let gate = Arc::new(self.gate);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (tokens, gate) = (Arc::clone(&tokens), Arc::clone(&gate));
            async move { Ok::<_, Infallible>(tokens.answer(&gate, request).await) }
        });
        Server::new("endpoints", self.bound).metrics(metrics.clone()).serve(service, lifecycle);
    }
}
