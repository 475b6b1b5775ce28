//! A WebSocket between a client and an upstream: bytes both ways until one side, its holder's time or we end it.
//! Not the handshake (`upgrade.rs`, `forward.rs`), and no reading of messages.

mod copy;
mod frames;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep};

use crate::forward::Kept;
use crate::streams::{Ending, Guard};
use copy::{Broken, Copy};
use frames::Frames;

/// How long one side may go on after the other has closed, and how long a goodbye may take.
const LINGER: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(1);

/// After this silence in both directions a tunnel ends, unless told otherwise.
pub const DEFAULT_IDLE: Duration = Duration::from_hours(1);

/// Who or what ended a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The client closed, or broke off.
    Client,
    /// The upstream did.
    Upstream,
    /// The holder's time was over, or its right withdrawn.
    Ended(Ending),
    /// Nothing was said for too long.
    Idle,
    /// This program ends.
    Shutdown,
}

/// What is known about a tunnel that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelEnd {
    /// Why it ended.
    pub cause: Cause,
    /// How long it was open.
    pub lasted: Duration,
    /// Bytes from the client to the upstream.
    pub bytes_up: u64,
    /// Bytes from the upstream to the client.
    pub bytes_down: u64,
}

/// Told when a tunnel has ended; dropped untold if it never began.
pub type Observer = Box<dyn FnOnce(&TunnelEnd) + Send>;

/// How a tunnel is kept.
pub struct Terms {
    /// The longest silence in both directions; noticed between once and twice this time.
    pub idle_timeout: Duration,
    /// Who wants to know of its end.
    pub observer: Option<Observer>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { idle_timeout: DEFAULT_IDLE, observer: None }
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Terms").field("idle_timeout", &self.idle_timeout).finish_non_exhaustive()
    }
}

/// The upstream's half of a tunnel, before the client's is there.
#[derive(Debug)]
pub(crate) struct Tunnel {
    upstream: Upgraded,
    guard: Option<Guard>,
    terms: Terms,
    kept: Option<Kept>,
}

/// A tunnel on its way from the forwarder to the connection it will live on, as an extension of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Parcel(Arc<Mutex<Option<Tunnel>>>);

/// A tunnel whose handshake is being answered.
#[derive(Debug)]
pub(crate) struct Switch {
    client: OnUpgrade,
    tunnel: Tunnel,
}

impl Tunnel {
    pub(crate) fn new(upstream: Upgraded, guard: Option<Guard>, terms: Terms) -> Self {
        Self { upstream, guard, terms, kept: None }
    }

    /// Keeps this until it ends.
    pub(crate) fn keeping(mut self, kept: Option<Kept>) -> Self {
        self.kept = kept;
        self
    }

    pub(crate) fn pack(self) -> Parcel {
        Parcel(Arc::new(Mutex::new(Some(self))))
    }
}

impl Parcel {
    /// The tunnel, for the first who asks.
    pub(crate) fn unpack(&self) -> Option<Tunnel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Switch {
    pub(crate) fn new(client: OnUpgrade, tunnel: Tunnel) -> Self {
        Self { client, tunnel }
    }

    /// Keeps the tunnel until it ends. `shutdown` ends it.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) {
        // The connection is over, so this is known by now: it fails if the client left before our answer.
        let Ok(client) = self.client.await else { return };
        let Tunnel { upstream, guard, terms, kept } = self.tunnel;
        let begun = Instant::now();
        let mut relay = Relay {
            client: TokioIo::new(client),
            upstream: TokioIo::new(upstream),
            up: Copy::default(),
            down: Copy::default(),
            frames: Frames::default(),
            guard,
            patience: Patience::new(terms.idle_timeout),
        };
        let mut shutdown = pin!(shutdown);
        let cause = poll_fn(|cx| {
            if let Poll::Ready(cause) = relay.poll(cx) {
                return Poll::Ready(cause);
            }
            shutdown.as_mut().poll(cx).map(|()| Cause::Shutdown)
        })
        .await;
        drop(kept);
        if let Some(observer) = terms.observer {
            let (bytes_up, bytes_down) = (relay.up.passed(), relay.down.passed());
            observer(&TunnelEnd { cause, lasted: begun.elapsed(), bytes_up, bytes_down });
        }
        relay.say_goodbye(cause).await;
    }
}

/// Both directions of a tunnel at work.
struct Relay {
    client: TokioIo<Upgraded>,
    upstream: TokioIo<Upgraded>,
    up: Copy,
    down: Copy,
    /// Of the upstream, as far as the client has them.
    frames: Frames,
    guard: Option<Guard>,
    patience: Patience,
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        // First, so that not one more byte passes.
        if let Some(guard) = &mut self.guard
            && let Poll::Ready(ending) = guard.poll_over(cx)
        {
            return Poll::Ready(Cause::Ended(ending));
        }
        if let Some(cause) = self.poll_copies(cx) {
            return Poll::Ready(cause);
        }
        let first = match (self.up.is_done(), self.down.is_done()) {
            (true, true) => return Poll::Ready(self.patience.closer.unwrap_or(Cause::Client)),
            (true, false) => Some(Cause::Client),
            (false, true) => Some(Cause::Upstream),
            (false, false) => None,
        };
        self.patience.poll(first, self.up.passed().wrapping_add(self.down.passed()), cx)
    }

    /// Moves what can be moved; some cause if a side broke.
    fn poll_copies(&mut self, cx: &mut Context<'_>) -> Option<Cause> {
        if !self.up.is_done()
            && let Poll::Ready(Err(broken)) =
                self.up.poll(&mut self.client, &mut self.upstream, &mut |_| {}, cx)
        {
            return Some(if broken == Broken::Reader { Cause::Client } else { Cause::Upstream });
        }
        let frames = &mut self.frames;
        let mut note = |bytes: &[u8]| frames.passed(bytes);
        if !self.down.is_done()
            && let Poll::Ready(Err(broken)) =
                self.down.poll(&mut self.upstream, &mut self.client, &mut note, cx)
        {
            return Some(if broken == Broken::Reader { Cause::Upstream } else { Cause::Client });
        }
        None
    }

    /// Tells the client why, if a frame may be sent now. What the upstream said and the client does not have yet is gone.
    async fn say_goodbye(self, cause: Cause) {
        let Some(close) = close_frame(cause).filter(|_| self.frames.may_say_goodbye()) else { return };
        let Self { mut client, upstream, .. } = self;
        drop(upstream);
        let farewell = async {
            client.write_all(&close).await?;
            client.shutdown().await?;
            // Until the client has closed: bytes that we never read would reset the connection, and the frame with it.
            let mut ignored = [0; 512];
            while client.read(&mut ignored).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        // A client that does not listen misses the reason.
        let _ = tokio::time::timeout(GOODBYE, Box::pin(farewell)).await;
    }
}

/// A close frame from a server (RFC 6455 §5.5.1, §7.4.1); none when a side has closed by itself.
fn close_frame(cause: Cause) -> Option<Vec<u8>> {
    let (code, reason) = match cause {
        Cause::Client | Cause::Upstream => return None,
        Cause::Ended(Ending::Expired) => (1008_u16, "token_expired"),
        Cause::Ended(Ending::Revoked) => (1008, "revoked"),
        Cause::Idle => (1001, "idle"),
        Cause::Ended(Ending::Shutdown) | Cause::Shutdown => (1001, "shutdown"),
    };
    // INVARIANT: the payload is shorter than 126 bytes.
    let length = u8::try_from(reason.len().saturating_add(2)).unwrap_or_default();
    let mut frame = vec![0x88, length];
    frame.extend(code.to_be_bytes());
    frame.extend(reason.bytes());
    Some(frame)
}

/// Waits for a sign of life, and briefly for the second side once the first has closed.
struct Patience {
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    /// The bytes that had passed when the timer was set.
    passed: u64,
    closer: Option<Cause>,
}

impl Patience {
    fn new(idle: Duration) -> Self {
        Self { idle, timer: Box::pin(sleep(idle)), passed: 0, closer: None }
    }

    fn poll(&mut self, first: Option<Cause>, passed: u64, cx: &mut Context<'_>) -> Poll<Cause> {
        if self.closer.is_none() && first.is_some() {
            self.closer = first;
            self.wait(LINGER);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            match self.closer {
                Some(closer) => return Poll::Ready(closer),
                None if passed == self.passed => return Poll::Ready(Cause::Idle),
                None => {
                    self.passed = passed;
                    self.wait(self.idle);
                }
            }
        }
        Poll::Pending
    }

    fn wait(&mut self, limit: Duration) {
        let now = Instant::now();
        self.timer.as_mut().reset(now.checked_add(limit).unwrap_or(now));
    }
}
