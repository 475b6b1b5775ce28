//! One connection from its first byte to its last.
//! Not the accept loop: by now somebody has connected.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep};

use super::Handler;
use super::busy;
use super::limits::Limits;
use super::peer::ConnectionInfo;
use super::stream::Stream;
use super::watch::{Activity, Answering, Phase, Watched};
use crate::body::{Body, StreamLimits};
use crate::executor::LifecycleExecutor;

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
    /// A permit for each request under way on any connection.
    pub(super) places: &'a Arc<Semaphore>,
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
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
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
    let limits = terms.limits;
    let activity = Arc::new(Activity::default());
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let body_limits = StreamLimits { bytes: limits.max_body_bytes, idle: Some(limits.body_idle_timeout) };
    let service = service_fn(|request: Request<Incoming>| {
        let open = activity.open(Arc::clone(terms.places).try_acquire_owned().ok());
        let mut request = request.map(|incoming| Body::received(incoming, body_limits));
        request.extensions_mut().insert(info.clone());
        let answer = open.has_place().then(|| handler.handle(request));
        if answer.is_none() {
            terms.busy.inc();
        }
        async move {
            Ok::<_, Infallible>(match answer {
                Some(answer) => answer.await.map(|body| Answering::new(body, open)),
                None => busy::answer(open),
            })
        }
    });
    let mut connection = pin!(terms.protocol.serve_connection(io, service));
    let mut shutdown = pin!(shutdown);
    let mut draining = false;
    let mut pace = Pace::new(&activity, limits);
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
            let untaken = self.activity.untaken_since().map(|since| since.elapsed());
            if untaken.is_some_and(|age| age >= self.limits.write_timeout) {
                return Poll::Ready(Late::GiveUp);
            }
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
