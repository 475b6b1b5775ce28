//! The streams that are open: who holds each, and when it must end; one timer for all of them.
//! Not a decision: why a stream has to end is known elsewhere.

mod named;
mod view;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use symbolon_daemon::Lifecycle;
use tokio::time::{Instant, MissedTickBehavior};

pub use named::{Renewal, StreamName};
pub(crate) use view::View;

/// How late a silent stream may notice that its time is over. One that moves notices at once.
const TICK: Duration = Duration::from_millis(200);

/// So long before the drain is cut off, streams that have not ended by themselves are, each in its own way.
const LAST_WORDS: Duration = Duration::from_secs(1);

const SHARDS: usize = 16;

/// Whom a stream belongs to: whatever [`Streams::end_where`] asks about.
pub type Holder = Arc<dyn Any + Send + Sync>;

/// Why a stream ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its time is over.
    Expired,
    /// Its holder lost the right to it.
    Revoked,
    /// This program ends.
    Shutdown,
}

/// All open streams of a program. Clones share them.
#[derive(Debug, Clone)]
pub struct Streams {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shards: [Mutex<Slab<Entry>>; SHARDS],
    /// How often somebody asked for an end. While it stands still, no stream needs to look at its entry.
    ends: AtomicU64,
    /// Where the streams are that have a name. Never locked together with a shard.
    named: Mutex<HashMap<StreamName, (usize, usize)>>,
}

struct Entry {
    holder: Holder,
    deadline: Option<Instant>,
    ended: Option<Ending>,
    waker: Option<Waker>,
    name: Option<StreamName>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Entry").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// The place of one stream among the open ones; free again when it is dropped.
#[derive(Debug)]
pub struct Guard {
    view: View,
}

impl Streams {
    /// No streams yet. Their timer runs under `lifecycle`.
    #[must_use]
    pub fn new(lifecycle: &Lifecycle) -> Self {
        let inner = Arc::new(Inner {
            shards: std::array::from_fn(|_| Mutex::default()),
            ends: AtomicU64::new(0),
            named: Mutex::default(),
        });
        let timer = Arc::downgrade(&inner);
        lifecycle.spawn_background("stream_deadlines", async move {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let now = ticks.tick().await;
                let Some(inner) = timer.upgrade() else { return };
                inner.wake_where(|entry| entry.deadline.is_some_and(|deadline| deadline <= now));
            }
        });
        let (last, life) = (Arc::downgrade(&inner), lifecycle.clone());
        lifecycle.spawn_background("stream_shutdown", async move {
            life.shutting_down().await;
            tokio::time::sleep(life.grace().saturating_sub(LAST_WORDS)).await;
            if let Some(inner) = last.upgrade() {
                inner.end_where(Ending::Shutdown, |_| true);
            }
        });
        Self { inner }
    }

    /// Takes a stream in. It must end at `deadline`, if there is one.
    ///
    /// Costs two short locks of a shard that only this thread usually takes, and no allocation once the shard has grown.
    #[must_use]
    pub fn register(&self, holder: Holder, deadline: Option<Instant>) -> Guard {
        // Before the insertion: an end that is asked for in between is then seen as news.
        let seen = self.inner.ends.load(SeqCst);
        let shard = own_shard();
        let entry = Entry { holder, deadline, ended: None, waker: None, name: None };
        let key = self.inner.shard(shard).insert(entry);
        Guard { view: View::new(&self.inner, (shard, key), deadline, seen) }
    }

    /// Ends the streams whose holder fits, and says how many they are. Not one byte passes on them once this returns,
    /// except what was already handed to a socket.
    pub fn end_where(&self, fits: impl FnMut(&(dyn Any + Send + Sync)) -> bool) -> usize {
        self.inner.end_where(Ending::Revoked, fits)
    }

    /// How many streams are open.
    #[must_use]
    pub fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.inner.shard(shard).len()).sum()
    }

    /// Whether no stream is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn end_where(&self, ending: Ending, mut fits: impl FnMut(&(dyn Any + Send + Sync)) -> bool) -> usize {
        let mut ended = 0_usize;
        self.wake_where(|entry| {
            let news = entry.ended.is_none() && fits(entry.holder.as_ref());
            if news {
                entry.ended = Some(ending);
                ended = ended.saturating_add(1);
            }
            news
        });
        self.ends.fetch_add(1, SeqCst);
        ended
    }

    /// INVARIANT: every shard number comes from [`own_shard`] or a range below [`SHARDS`].
    fn shard(&self, number: usize) -> MutexGuard<'_, Slab<Entry>> {
        let [first, ..] = &self.shards;
        self.shards.get(number).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the streams that fit, each shard's after its lock was given back.
    fn wake_where(&self, mut fits: impl FnMut(&mut Entry) -> bool) {
        for number in 0..SHARDS {
            let mut shard = self.shard(number);
            let mut woken = Vec::new();
            for (_, entry) in shard.iter_mut() {
                if fits(entry) {
                    woken.extend(entry.waker.take());
                }
            }
            drop(shard);
            woken.into_iter().for_each(Waker::wake);
        }
    }
}

impl Guard {
    /// Whether the stream must end, and why. Cheap enough to ask for every piece of it.
    pub fn over(&mut self) -> Option<Ending> {
        self.view.over()
    }

    /// Whether its holder lost the right to the stream. Asks no clock.
    pub fn revoked(&mut self) -> Option<Ending> {
        self.view.revoked()
    }

    /// Ready once the stream must end.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.view.poll_over(cx)
    }

    /// When the stream must end at the latest, if nothing has moved its end since.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.view.deadline()
    }

    /// A look at the same stream from another place.
    pub(crate) fn view(&self) -> View {
        self.view.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (streams, (shard, key)) = (self.view.streams(), self.view.place());
        // Dropped after the lock: the last holder's memory is nobody else's wait.
        let entry = streams.shard(shard).try_remove(key);
        if let Some(name) = entry.and_then(|entry| entry.name) {
            streams.named().remove(&name);
        }
    }
}

/// The shard of this thread, so that threads do not wait for each other.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: usize = NEXT.fetch_add(1, Relaxed) % SHARDS);
    OWN.with(|own| *own)
}

#[cfg(test)]
mod tests;
