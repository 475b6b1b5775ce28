//! One connection from its first byte to its last.
//! Not the accept loop: by now somebody has connected.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, Sleep, sleep};

use super::Handler;
use super::busy;
use super::crowd::Crowder;
use super::limits::Limits;
use super::peer::ConnectionInfo;
use super::stream::Stream;
use super::watch::{Activity, Answering, Phase, Watched};
use crate::body::{Body, StreamLimits};
use crate::executor::{LifecycleExecutor, TaskEnd};
use crate::places::Places;
use crate::tunnel::{Parcel, Switch};

/// The frames that every HTTP/2 peer accepts (RFC 9113 §4.2).
const SMALLEST_FRAME: u32 = 16 * 1024;

/// What a stream holds of an answer that its client does not take.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams of one connection that may be reset before we have looked at them, and by us because they were wrong.
const MAX_EARLY_RESETS: usize = 20;
const MAX_OUR_RESETS: usize = 256;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// One side closed it.
    Closed,
    /// The peer was too slow.
    TooSlow,
}

/// What every connection of a listener is served on.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) protocol: &'a Protocol,
    pub(super) limits: &'a Limits,
    /// Of the requests under way on all connections.
    pub(super) places: &'a Places,
    /// For whom they are counted, if not for all alike.
    pub(super) crowder: Option<Crowder>,
    /// Counts the requests that found none.
    pub(super) busy: &'a Counter,
}

/// What hyper does on every connection of a listener.
pub(super) type Protocol = auto::Builder<LifecycleExecutor>;

/// Sets up both protocols within `limits`.
pub(super) fn protocol(limits: &Limits, executor: LifecycleExecutor) -> Protocol {
    let mut protocol = auto::Builder::new(executor);
    protocol
        .http1()
        .timer(TokioTimer::new())
        // Ours instead: it tells a slow head from an idle connection, and covers the first bytes too.
        .header_read_timeout(None)
        .half_close(false)
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_head_bytes);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_concurrent_streams)
        // Also what a head may grow to by CONTINUATION frames: h2 closes the connection beyond it.
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .max_frame_size(SMALLEST_FRAME)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_send_buf_size(SEND_BUFFER)
        // Rapid reset: streams that are opened and reset before we have looked at them, and those that we had to reset.
        .max_pending_accept_reset_streams(MAX_EARLY_RESETS)
        .max_local_error_reset_streams(MAX_OUR_RESETS)
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(limits.head_timeout);
    protocol
}

/// Serves `stream` until it ends, or until `shutdown` and its open requests are answered.
pub(super) async fn serve<H: Handler>(
    stream: Stream,
    info: ConnectionInfo,
    handler: H,
    terms: Terms<'_>,
    shutdown: impl Future<Output = ()>,
) -> End {
    let activity = Arc::new(Activity::default());
    let mut shutdown = pin!(shutdown);
    let end = serve_http(stream, &info, handler, terms, (&activity, shutdown.as_mut())).await;
    match activity.take_switch() {
        // Here, so that a tunnel counts as the connection that it is. Boxed: few connections become one.
        Some(switch) => {
            Box::pin(switch.run(shutdown)).await;
            End::Closed
        }
        None => end,
    }
}

/// Serves requests until there are no more.
async fn serve_http<H: Handler>(
    stream: Stream,
    info: &ConnectionInfo,
    handler: H,
    terms: Terms<'_>,
    (activity, mut shutdown): (&Arc<Activity>, Pin<&mut impl Future<Output = ()>>),
) -> End {
    let limits = terms.limits;
    let io = TokioIo::new(Watched::new(stream, Arc::clone(activity)));
    let body_limits = StreamLimits { bytes: limits.max_body_bytes, idle: Some(limits.body_idle_timeout) };
    let service = service_fn(|request: Request<Incoming>| {
        let mut open = activity.open(terms.places.enter(terms.crowder));
        let mut request = request.map(|incoming| Body::received(incoming, body_limits));
        let asked = Switching::read(&mut request);
        request.extensions_mut().insert(info.clone());
        if let Some(crowder) = terms.crowder {
            // An upstream's places are shared alike.
            request.extensions_mut().insert(crowder);
        }
        let answer = open.has_place().then(|| handler.handle(request));
        if answer.is_none() {
            terms.busy.inc();
        }
        async move {
            open.ends_by(TaskEnd::of_this());
            let answer = match answer {
                Some(answer) => Some(answer.await),
                None => None,
            };
            open.answered();
            let Some(mut answer) = answer else {
                let mut answer = busy::answer(open);
                // Nobody has agreed to anything, so that this can only close.
                let _ = asked.and_then(|asked| asked.settle(&mut answer));
                return Ok::<_, Infallible>(answer);
            };
            if let Some(switch) = asked.and_then(|asked| asked.settle(&mut answer)) {
                open.switch(switch);
            }
            Ok(answer.map(|body| Answering::new(body, open)))
        }
    });
    let mut connection = pin!(terms.protocol.serve_connection_with_upgrades(io, service));
    let mut draining = false;
    let mut pace = Pace::new(activity, limits);
    poll_fn(|cx| {
        if !draining && shutdown.as_mut().poll(cx).is_ready() {
            draining = true;
            connection.as_mut().graceful_shutdown();
        }
        loop {
            // Errors here are the peer's: a broken request has been answered with 400 by hyper.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            match ready!(pace.poll_late(cx)) {
                Late::GiveUp => return Poll::Ready(End::TooSlow),
                Late::WindDown => connection.as_mut().graceful_shutdown(),
            }
        }
    })
    .await
}

/// A request that asked for another protocol.
struct Switching {
    /// The client's side of it, where HTTP allows that.
    client: Option<OnUpgrade>,
    version: Version,
}

impl Switching {
    fn read(request: &mut Request<Body>) -> Option<Self> {
        let version = request.version();
        let client = request.extensions_mut().remove::<OnUpgrade>();
        // HTTP/1.0 knows no upgrade; who sends one anyway may believe in it.
        let asked =
            client.is_some() || (version < Version::HTTP_11 && request.headers().contains_key(UPGRADE));
        asked.then_some(Self { client, version })
    }

    /// The tunnel that begins after an answer of 101; any other answer is the last on its connection.
    ///
    /// SECURITY: what the sender wrote behind such a request may be of the other protocol, and must not be read as the
    /// next request.
    fn settle<B>(self, answer: &mut Response<B>) -> Option<Switch> {
        let tunnel = answer.extensions_mut().remove::<Parcel>().and_then(|parcel| parcel.unpack());
        match (self.client, tunnel) {
            (Some(client), Some(tunnel)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Some(Switch::new(client, tunnel))
            }
            _ if self.version < Version::HTTP_2 => {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                None
            }
            _ => None,
        }
    }
}

/// What to do with a connection that took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    /// Idle: say goodbye, then look once more.
    WindDown,
    /// Slow: close.
    GiveUp,
}

/// The deadlines of one connection.
struct Pace<'a> {
    activity: &'a Activity,
    limits: &'a Limits,
    phase: Phase,
    winding_down: bool,
    deadline: Pin<Box<Sleep>>,
}

impl<'a> Pace<'a> {
    fn new(activity: &'a Activity, limits: &'a Limits) -> Self {
        let deadline = Box::pin(sleep(limits.head_timeout));
        Self { activity, limits, phase: activity.phase(), winding_down: false, deadline }
    }

    /// Ready when the connection has been too long in one phase.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Late> {
        loop {
            if self.activity.is_wasteful() || self.activity.end_stalled(self.limits.write_timeout) {
                return Poll::Ready(Late::GiveUp);
            }
            let untaken = self.activity.longest_untaken();
            let phase = self.activity.phase();
            if phase != self.phase {
                self.phase = phase;
                // While busy an earlier deadline stays; when it fires we look again. That saves resetting
                // the timer twice for each request.
                if phase != Phase::Busy {
                    self.wait_again();
                }
            }
            ready!(self.deadline.as_mut().poll(cx));
            match self.phase {
                // Not after the moment at which an answer becomes too old.
                Phase::Busy => self.wait(
                    self.limits
                        .write_timeout
                        .saturating_sub(untaken.unwrap_or_default())
                        .min(self.limits.idle_timeout),
                ),
                Phase::Idle { .. } if !self.winding_down => {
                    self.winding_down = true;
                    self.wait(self.limits.head_timeout);
                    return Poll::Ready(Late::WindDown);
                }
                Phase::Idle { .. } | Phase::Head { .. } | Phase::Stalled { .. } => {
                    return Poll::Ready(Late::GiveUp);
                }
            }
        }
    }

    fn wait_again(&mut self) {
        let limit = match self.phase {
            Phase::Head { .. } => self.limits.head_timeout,
            Phase::Stalled { .. } => self.limits.write_timeout,
            Phase::Busy | Phase::Idle { .. } => self.limits.idle_timeout,
        };
        self.wait(limit);
    }

    fn wait(&mut self, limit: Duration) {
        let now = Instant::now();
        self.deadline.as_mut().reset(now.checked_add(limit).unwrap_or(now));
    }
}
