//! How far a request's body has come, and whether it may go on.
//! Not the body (`outgoing.rs`): this is what the other parts of an exchange know of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::streams::Ending;

/// The upload of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    frames: AtomicU64,
    ended: AtomicBool,
    cut: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ending: Option<Ending>,
    waker: Option<Waker>,
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

    /// Ends it before its end.
    pub(crate) fn cut(&self, ending: Ending) {
        let mut state = self.state();
        state.ending = Some(ending);
        self.cut.store(true, Relaxed);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it was cut.
    pub(super) fn over(&self) -> Option<Ending> {
        if self.cut.load(Relaxed) { self.state().ending } else { None }
    }

    /// Ready once it was cut.
    pub(super) fn poll_over(&self, cx: &mut Context<'_>) -> Poll<Ending> {
        let mut state = self.state();
        if let Some(ending) = state.ending {
            return Poll::Ready(ending);
        }
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
