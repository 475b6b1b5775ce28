//! How far a request's body has come, and whether it may go on.
//! Not the body (`outgoing.rs`): this is what the other parts of an exchange know of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The upload of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    frames: AtomicU64,
    ended: AtomicBool,
    /// Set only under the lock of `waker`, so that nobody begins to wait for what has just happened.
    cut: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Upload {
    /// A number that changes whenever something has been sent, the end included.
    pub(super) fn mark(&self) -> (u64, bool) {
        (self.frames.load(Relaxed), self.ended.load(Relaxed))
    }

    pub(super) fn sent(&self) {
        self.frames.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    /// Ends it before its end; does nothing if that has come.
    pub(crate) fn cut(&self) {
        let mut waker = self.waker();
        self.cut.store(true, Relaxed);
        let waiting = waker.take();
        drop(waker);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Whether it was cut.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    /// Ready once it was cut.
    pub(super) fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waker = self.waker();
        if self.is_cut() {
            return Poll::Ready(());
        }
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
