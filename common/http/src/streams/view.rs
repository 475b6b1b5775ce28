//! A look at one open stream: must it end?
//! Not its place among them: that is the guard's.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::{Ending, Inner};

/// Sees whether a stream must end. Good for as long as the guard of the stream lives: afterwards its place may be
/// another's, so whoever looks must be told of the end of the exchange by other means.
#[derive(Debug, Clone)]
pub(crate) struct View {
    streams: Arc<Inner>,
    place: (usize, usize),
    /// As it was when the entry was looked at last. It is looked at again before it counts, so that only an end that was
    /// brought nearer has to be told.
    deadline: Option<Instant>,
    /// `ends` when the entry was looked at last.
    seen: u64,
    ending: Option<Ending>,
}

impl View {
    pub(super) fn new(
        streams: &Arc<Inner>,
        place: (usize, usize),
        deadline: Option<Instant>,
        seen: u64,
    ) -> Self {
        Self { streams: Arc::clone(streams), place, deadline, seen, ending: None }
    }

    pub(super) fn streams(&self) -> &Inner {
        &self.streams
    }

    pub(super) const fn place(&self) -> (usize, usize) {
        self.place
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the stream must end, and why.
    pub(crate) fn over(&mut self) -> Option<Ending> {
        self.revoked().or_else(|| self.expired())
    }

    /// The same without a look at the clock.
    pub(crate) fn revoked(&mut self) -> Option<Ending> {
        if self.ending.is_none() && self.streams.ends.load(SeqCst) != self.seen {
            self.look(None);
        }
        self.ending
    }

    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if self.ending.is_none() {
            self.look(Some(cx.waker()));
        }
        self.ending.or_else(|| self.expired()).map_or(Poll::Pending, Poll::Ready)
    }

    fn expired(&mut self) -> Option<Ending> {
        if !self.is_late() {
            return None;
        }
        // Its end may have been moved since.
        self.look(None);
        self.ending.or_else(|| self.is_late().then_some(Ending::Expired))
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn look(&mut self, waker: Option<&Waker>) {
        let (shard, key) = self.place;
        let mut shard = self.streams.shard(shard);
        self.seen = self.streams.ends.load(SeqCst);
        let Some(entry) = shard.get_mut(key) else { return };
        self.deadline = entry.deadline;
        self.ending = self.ending.or(entry.ended);
        if self.ending.is_none()
            && let Some(waker) = waker
            && !entry.waker.as_ref().is_some_and(|known| known.will_wake(waker))
        {
            entry.waker = Some(waker.clone());
        }
    }
}
