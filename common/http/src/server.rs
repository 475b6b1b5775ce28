//! The accept loop of every listener: sockets in, requests to a service.
//! Not routing, and not what a request may do.

mod accept;
mod bind;
mod busy;
mod connection;
mod crowd;
mod limits;
mod metrics;
mod peer;
mod stream;
mod unix;
mod untaken;
mod watch;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use symbolon_daemon::Lifecycle;

pub use bind::{Bind, BindError, BindSyntaxError, Bound, BoundAddress};
pub(crate) use crowd::{Crowd, Crowder, Place};
pub use limits::Limits;
pub(crate) use metrics::CertificateMetrics;
pub use metrics::ServerMetrics;
pub use peer::{ConnectionInfo, Peer, PeerCredentials, PidfdOrigin};

use crate::body::Body;
use crate::tls::{Follower, ServerTls};
use accept::Acceptor;

/// A listener that is about to serve.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    bound: Bound,
    limits: Limits,
    tls: Option<ServerTls>,
    metrics: ServerMetrics,
}

/// What a listener serves: any tower service over [`Body`] that never fails, such as an axum router.
pub trait Handler: Clone + Send + Sync + 'static {
    /// The body of its answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers one request.
    fn handle(&self, request: Request<Body>) -> impl Future<Output = Response<Self::Body>> + Send + 'static;
}

impl<S, B> Handler for S
where
    S: tower::Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    type Body = B;

    fn handle(&self, request: Request<Body>) -> impl Future<Output = Response<B>> + Send + 'static {
        let answer = tower::ServiceExt::oneshot(self.clone(), request);
        async move {
            match answer.await {
                Ok(answer) => answer,
                Err(never) => match never {},
            }
        }
    }
}

impl Server {
    /// A server on `bound` with default limits. `name` labels its metrics and logs.
    #[must_use]
    pub fn new(name: &'static str, bound: Bound) -> Self {
        Self { name, bound, limits: Limits::default(), tls: None, metrics: ServerMetrics::default() }
    }

    /// Replaces the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Speaks TLS on every connection, and follows the files of its certificate while it serves.
    /// Without a certificate it speaks plaintext.
    #[must_use]
    pub fn tls(mut self, tls: impl Into<Option<ServerTls>>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Counts into `metrics`, which several servers may share.
    #[must_use]
    pub fn metrics(mut self, metrics: ServerMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Serves `service` under `lifecycle` until it shuts down, then lets open requests finish.
    ///
    /// Every request carries a [`ConnectionInfo`] among its extensions.
    pub fn serve<H: Handler>(self, service: H, lifecycle: &Lifecycle) {
        let Self { name, bound, limits, tls, metrics } = self;
        tracing::info!(event.name = "server.listening", listener = name, address = %bound.address(), "listening");
        let connections = metrics.listener(name);
        if let Some(tls) = &tls {
            let metrics = metrics.certificate(name);
            Follower { tls: tls.clone(), listener: name, metrics }.start(lifecycle);
        }
        let acceptor =
            Acceptor { name, limits: limits.sane(), tls, connections, lifecycle: lifecycle.clone() };
        lifecycle.spawn("http_accept", acceptor.run(bound, service));
    }
}
