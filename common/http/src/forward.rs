//! The streaming reverse proxy core that sidecar and gateway share.
//! Not a decision: whoever calls it has already decided, and the proof of that is what it takes.

mod await_answer;
mod cleared;
mod connector;
mod error;
mod fields;
mod outgoing;
pub(crate) mod places;
mod upstream;

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use symbolon_daemon::Lifecycle;

pub use cleared::Cleared;
pub use error::{ForwardError, TimeoutStage};
pub use upstream::{Upstream, UpstreamError};

use crate::body::{Body, StreamLimits};
use crate::executor::LifecycleExecutor;
use crate::target::{RequestTarget, asks_for_upgrade, check_framing, check_method};
use crate::tls::{self, TlsError};
use connector::{TimedConnector, connector};
use outgoing::Outgoing;
use places::Places;

/// Sends requests on, for callers that can prove by a `P` that they may.
///
/// Connections are pooled by upstream and speak HTTP/1.1. Bodies stream both ways with back pressure and are
/// never held. A request is sent again only if not one byte of it had been written to a connection that
/// turned out to be closed.
pub struct Forwarder<P> {
    client: Client<TimedConnector, Outgoing>,
    answer_timeout: Duration,
    max_request_body: Option<u64>,
    places: Arc<Places>,
    proof: PhantomData<fn(P)>,
}

impl<P> std::fmt::Debug for Forwarder<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Forwarder").field("client", &self.client).finish_non_exhaustive()
    }
}

impl<P> Clone for Forwarder<P> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            answer_timeout: self.answer_timeout,
            max_request_body: self.max_request_body,
            places: Arc::clone(&self.places),
            proof: PhantomData,
        }
    }
}

/// How a forwarder treats its upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardOptions {
    /// For TCP and, where the upstream is `https`, TLS. Default 5 s.
    pub connect_timeout: Duration,
    /// From the last progress of the request to the head of the answer. Default 60 s.
    pub answer_timeout: Duration,
    /// How long an unused connection is kept. Default 30 s.
    pub idle_timeout: Duration,
    /// How many unused connections are kept for each upstream. Default 64.
    pub max_idle: usize,
    /// Requests at one time at each upstream, whose answers have not ended; more are refused. Default 4096.
    pub max_requests: usize,
    /// The most bytes of a request's body; `None` is no limit. Default `None`.
    pub max_request_body: Option<u64>,
    /// Trusts only the certificates in this PEM file, instead of the bundled web roots.
    pub ca_file: Option<PathBuf>,
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_secs(30),
            max_idle: 64,
            max_requests: 4096,
            max_request_body: None,
            ca_file: None,
        }
    }
}

impl<P: Cleared> Forwarder<P> {
    /// A forwarder whose connections live under `lifecycle`.
    ///
    /// # Errors
    /// When the CA file cannot be read or holds no usable certificate.
    pub fn new(options: &ForwardOptions, lifecycle: &Lifecycle) -> Result<Self, TlsError> {
        let tls = tls::client_config(options.ca_file.as_deref())?;
        let client = Client::builder(LifecycleExecutor::background("http_upstream", lifecycle))
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.max_idle)
            .build(connector(tls, options.connect_timeout));
        Ok(Self {
            client,
            answer_timeout: options.answer_timeout,
            max_request_body: options.max_request_body,
            places: Arc::new(Places::new(options.max_requests)),
            proof: PhantomData,
        })
    }

    /// Sends `request` where `cleared` says, in the form that `cleared` gives it, and answers with what came.
    ///
    /// # Errors
    /// When the request is not fit to be forwarded, and when the upstream gives no proper answer.
    pub async fn forward(&self, cleared: P, request: Request<Body>) -> Result<Response<Body>, ForwardError> {
        let (mut head, body) = request.into_parts();
        self.check(&head, &body)?;
        let place = self.places.enter(cleared.upstream().authority());
        let place = place.ok_or_else(|| ForwardError::busy(cleared.upstream()))?;
        rewrite(&mut head, &cleared)?;
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            // hyper takes a GET or HEAD of unknown length for one without a body, and would drop it.
            head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let (body, progress) = Outgoing::new(body, self.max_request_body);
        let answer = self.client.request(Request::from_parts(head, body));
        let upstream = cleared.upstream();
        let answer = await_answer::within(self.answer_timeout, progress.as_deref(), answer)
            .await
            .ok_or_else(|| ForwardError::timeout(upstream, TimeoutStage::Answer))?
            .map_err(|error| ForwardError::classify(upstream, error))?;
        Ok(accept(answer, &cleared)?.map(|body| body.holding(place)))
    }

    /// Refuses what cannot be forwarded as one unambiguous request.
    fn check(&self, head: &Parts, body: &Body) -> Result<(), ForwardError> {
        RequestTarget::parse(head)?;
        check_framing(head)?;
        if asks_for_upgrade(head) {
            return Err(ForwardError::UpgradeNotAllowed);
        }
        check_method(head)?;
        match self.max_request_body {
            Some(limit) if body.size_hint().lower() > limit => Err(ForwardError::TooLarge { limit }),
            _ => Ok(()),
        }
    }
}

/// Turns a received head into the one that is sent.
///
/// SECURITY: what the client says about the connection takes effect first, and only then does `cleared` set
/// its fields; in the other order `Connection: x-workload-id` would remove what we vouch for.
fn rewrite<P: Cleared>(head: &mut Parts, cleared: &P) -> Result<(), ForwardError> {
    let trailers_welcome = fields::accepts_trailers(&head.headers);
    fields::remove_hop_by_hop(&mut head.headers);
    // Written anew from the body itself, which hyper has parsed.
    head.headers.remove(header::CONTENT_LENGTH);
    // Request trailers are not forwarded, so none is announced; 100-continue is ours to answer.
    head.headers.remove(header::TRAILER);
    head.headers.remove(header::EXPECT);
    fields::join_cookies(&mut head.headers);
    let upstream = cleared.upstream();
    head.headers.insert(header::HOST, upstream.host().clone());
    cleared.edit_request(&mut head.headers);
    if trailers_welcome {
        // RFC 9110 §10.1.4: who sends TE also names it in Connection.
        head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    let received = head.uri.path_and_query();
    head.uri = upstream.uri(cleared.path_and_query().or(received))?;
    head.version = Version::HTTP_11;
    // Nothing of the incoming connection has a meaning on the outgoing one.
    head.extensions.clear();
    Ok(())
}

/// Turns a received answer into the one that is passed back.
fn accept<P: Cleared>(answer: Response<Incoming>, cleared: &P) -> Result<Response<Body>, ForwardError> {
    let (mut head, body) = answer.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        // We never ask for another protocol.
        return Err(ForwardError::protocol(cleared.upstream()));
    }
    fields::remove_hop_by_hop(&mut head.headers);
    // No answer has a use for this field; one that echoes it would give our credential to the client.
    head.headers.remove(header::AUTHORIZATION);
    if body.size_hint().exact().is_none() {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    cleared.edit_response(&mut head.headers);
    head.version = Version::HTTP_11;
    head.extensions.clear();
    Ok(Response::from_parts(head, Body::received(body, StreamLimits::default())))
}
