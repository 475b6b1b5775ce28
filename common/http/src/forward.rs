//! The streaming reverse proxy core that sidecar and gateway share.
//! Not a decision: whoever calls it has already decided, and the proof of that is what it takes.

mod await_answer;
mod cleared;
mod connector;
mod error;
mod fields;
mod handshake;
mod lanes;
mod outgoing;
mod places;
mod probe;
mod upload;
mod upstream;

use std::future::Future;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Error as ExchangeError;
use symbolon_daemon::Lifecycle;

pub use cleared::{Cleared, Kept};
pub use error::{ForwardError, TimeoutStage};
pub use fields::ending_here;
pub(crate) use lanes::Lane;
pub use outgoing::TrailerFilter;
pub(crate) use places::Place;
pub use probe::{ProbeError, probe};
pub(crate) use upload::Upload;
pub use upstream::{Upstream, UpstreamError};

use crate::body::{Body, Leash, Manner, StreamLimits};
use crate::grpc;
use crate::server::Crowder;
use crate::streams::Guard;
use crate::target::{RequestTarget, check_framing, check_method};
use crate::tls::{self, TlsError};
use crate::upgrade::{self, Asked};
use await_answer::Waited;
use lanes::Lanes;
use outgoing::Outgoing;
use places::Places;

/// Sends requests on, for callers that can prove by a `P` that they may.
///
/// Connections are pooled by upstream and speak HTTP/1.1, or HTTP/2 if the options say so. Bodies stream both ways with
/// back pressure and are never held. A request is sent again only if not one byte of it had been written to a connection
/// that turned out to be closed. A WebSocket handshake goes up by HTTP/1.1 always; what comes of it is a tunnel that
/// lives on the client's connection.
pub struct Forwarder<P> {
    lanes: Lanes,
    answer_timeout: Duration,
    max_request_body: Option<u64>,
    places: Arc<Places>,
    proof: PhantomData<fn(P)>,
}

impl<P> std::fmt::Debug for Forwarder<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Forwarder").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

impl<P> Clone for Forwarder<P> {
    fn clone(&self) -> Self {
        Self {
            lanes: self.lanes.clone(),
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
    /// Requests at one time at each upstream, whose answers have not ended; more are refused. One peer whose requests the
    /// listener counts has half of them at most. Default 4096.
    pub max_requests: usize,
    /// The most bytes of a request's body; `None` is no limit. Default `None`.
    pub max_request_body: Option<u64>,
    /// Trusts only the certificates in this PEM file, instead of the bundled web roots.
    pub ca_file: Option<PathBuf>,
    /// The upstream speaks HTTP/2: without TLS by prior knowledge, with TLS by ALPN. Default: HTTP/1.1.
    pub http2: bool,
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
            http2: false,
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
        Ok(Self {
            lanes: Lanes::new(options, &tls, lifecycle),
            answer_timeout: options.answer_timeout,
            max_request_body: options.max_request_body,
            places: Arc::new(Places::new(options.max_requests)),
            proof: PhantomData,
        })
    }

    /// Sends `request` where `cleared` says, in the form that `cleared` gives it, and answers with what came.
    ///
    /// # Errors
    /// When the request is not fit to be forwarded, when the upstream gives no proper answer, and when the guard of
    /// `cleared` ends the exchange before the answer.
    pub async fn forward(
        &self,
        mut cleared: P,
        request: Request<Body>,
    ) -> Result<Response<Body>, ForwardError> {
        let (mut head, body) = request.into_parts();
        let guard = cleared.take_guard();
        let asked = self.check(&head, &body)?;
        let peer = head.extensions.get::<Crowder>().copied();
        let place = self.places.enter(cleared.upstream().authority(), peer);
        let place = place.ok_or_else(|| ForwardError::busy(cleared.upstream()))?;
        let mut leash = Leash::new(guard, place);
        if asked == Asked::WebSocket {
            // Boxed: a handshake must not make the future of every request large.
            return Box::pin(self.shake_hands(cleared, head, leash)).await;
        }
        let limit = self.patience(&cleared, &head.headers);
        let may_end_by_trailers = head.version == Version::HTTP_2;
        let http2 = self.lanes.is_http2();
        rewrite(&mut head, &cleared, http2)?;
        if !http2 && !body.is_end_stream() && body.size_hint().exact().is_none() {
            // hyper takes a GET or HEAD of unknown length for one without a body, and would drop it.
            head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let trailers = cleared.trailer_filter().filter(|_| http2);
        let (body, upload) = Outgoing::new(body, self.max_request_body, trailers);
        let body = body.seen_by(leash.guard.as_ref().filter(|_| upload.is_some()).map(Guard::view));
        let (sender, lane) = self.lanes.next();
        let answer = sender.request(Request::from_parts(head, body));
        (leash.upload, leash.places.0) = (upload, lane);
        let answer = self.wait(&cleared, limit, &mut leash, answer).await?;
        if may_end_by_trailers && grpc::is_grpc(answer.headers()) {
            leash.manner = Manner::GrpcStatus;
        }
        accept(answer, &mut cleared, leash)
    }

    /// How long the head of an answer may take without any progress: as long as a gRPC call says itself, but longer than
    /// the usual only for a caller that may wait.
    fn patience(&self, cleared: &P, headers: &HeaderMap) -> Duration {
        match grpc::timeout(headers) {
            Some(asked) if cleared.may_wait() => asked,
            Some(asked) => asked.min(self.answer_timeout),
            None => self.answer_timeout,
        }
    }

    /// Waits for the head of an answer, for as long as the leash lets it.
    async fn wait(
        &self,
        cleared: &P,
        limit: Duration,
        leash: &mut Leash,
        answer: impl Future<Output = Result<Response<Incoming>, ExchangeError>>,
    ) -> Result<Response<Incoming>, ForwardError> {
        let (guard, upload) = (leash.guard.as_mut(), leash.upload.as_deref());
        let answer = match await_answer::within(limit, guard, upload, answer).await {
            Waited::Answered(answer) => answer,
            Waited::TooLong => return Err(ForwardError::timeout(cleared.upstream(), TimeoutStage::Answer)),
            Waited::Over(ending) => return Err(ForwardError::Ended(ending)),
        };
        let answer = answer.map_err(|error| ForwardError::classify(cleared.upstream(), error))?;
        // The wait has looked at the time.
        match leash.guard.as_mut().and_then(Guard::revoked) {
            Some(ending) => Err(ForwardError::Ended(ending)),
            None => Ok(answer),
        }
    }

    /// Refuses what cannot be forwarded as one unambiguous request.
    fn check(&self, head: &Parts, body: &Body) -> Result<Asked, ForwardError> {
        RequestTarget::parse(head)?;
        check_framing(head)?;
        let asked = upgrade::asked(head)?;
        check_method(head)?;
        match self.max_request_body {
            Some(limit) if body.size_hint().lower() > limit => Err(ForwardError::TooLarge { limit }),
            _ => Ok(asked),
        }
    }
}

/// Turns a received head into the one that is sent.
///
/// SECURITY: what the client says about the connection takes effect first, and only then does `cleared` set
/// its fields; in the other order `Connection: x-workload-id` would remove what we vouch for.
fn rewrite<P: Cleared>(head: &mut Parts, cleared: &P, http2: bool) -> Result<(), ForwardError> {
    let trailers_welcome = fields::accepts_trailers(&head.headers);
    fields::remove_hop_by_hop(&mut head.headers);
    // Written anew from the body itself, which hyper has parsed.
    head.headers.remove(header::CONTENT_LENGTH);
    // HTTP/2 needs no announcement of trailers, HTTP/1.1 gets none; 100-continue is ours to answer.
    head.headers.remove(header::TRAILER);
    head.headers.remove(header::EXPECT);
    fields::join_cookies(&mut head.headers);
    let upstream = cleared.upstream();
    head.headers.insert(header::HOST, upstream.host().clone());
    cleared.edit_request(&mut head.headers);
    if trailers_welcome {
        head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if !http2 {
            // RFC 9110 §10.1.4: who sends TE also names it in Connection.
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
    }
    if http2 {
        // `:authority` says it (RFC 9113 §8.3.1).
        head.headers.remove(header::HOST);
    }
    let received = head.uri.path_and_query();
    head.uri = upstream.uri(cleared.path_and_query().or(received))?;
    head.version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
    // Nothing of the incoming connection has a meaning on the outgoing one.
    head.extensions.clear();
    Ok(())
}

/// Turns a received answer into the one that is passed back.
fn accept<P: Cleared>(
    answer: Response<Incoming>,
    cleared: &mut P,
    mut leash: Leash,
) -> Result<Response<Body>, ForwardError> {
    let (mut head, body) = answer.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        // Nobody asked for another protocol.
        return Err(ForwardError::protocol(cleared.upstream()));
    }
    clean(&mut head.headers, cleared);
    if body.size_hint().exact().is_none() {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
    if !body.is_end_stream() {
        leash.kept = cleared.opened(leash.guard.as_ref(), &mut head);
    }
    Ok(Response::from_parts(head, Body::leashed(body, StreamLimits::default(), leash)))
}

/// Removes from an answer what belongs to its connection, and gives `cleared` the last word.
fn clean<P: Cleared>(headers: &mut HeaderMap, cleared: &mut P) {
    fields::remove_hop_by_hop(headers);
    // No answer has a use for this field; one that echoes it would give our credential to the client.
    headers.remove(header::AUTHORIZATION);
    cleared.edit_response(headers);
}
