//! Waiting for an answer's head, fairly: a long upload is not a slow upstream.
//! Not the limit on the body that follows, which may stream for ever.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::upload::Upload;
use crate::streams::{Ending, Guard};

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited<T> {
    /// It came.
    Answered(T),
    /// Nothing at all has happened for the limit.
    TooLong,
    /// The right to it ended first.
    Over(Ending),
}

/// The output of `answer`, if it comes before `guard` is over, and while something happens at least every `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    mut guard: Option<&mut Guard>,
    upload: Option<&Upload>,
    answer: impl Future<Output = T>,
) -> Waited<T> {
    let mut answer = pin!(answer);
    let deadline = guard.as_deref().and_then(Guard::deadline);
    let mut seen = upload.map(Upload::mark);
    loop {
        let now = Instant::now();
        let patience = now.checked_add(limit).unwrap_or(now);
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        let first = poll_fn(|cx| poll_first(guard.as_deref_mut(), answer.as_mut(), cx));
        if let Ok(waited) = timeout_at(until, first).await {
            return waited;
        }
        // The streams' own timer may be late; this one is not.
        if deadline.is_some_and(|deadline| deadline <= until) {
            return Waited::Over(Ending::Expired);
        }
        let now = upload.map(Upload::mark);
        if now == seen {
            return Waited::TooLong;
        }
        seen = now;
    }
}

/// The guard comes first, and is told whom to wake, which costs a lock, only if there is something to wait for.
///
/// SECURITY: the answer to an upload may begin only when that has ended, so the wait is most of such an exchange.
fn poll_first<T>(
    mut guard: Option<&mut Guard>,
    answer: Pin<&mut impl Future<Output = T>>,
    cx: &mut Context<'_>,
) -> Poll<Waited<T>> {
    if let Some(ending) = guard.as_mut().and_then(|guard| guard.revoked()) {
        return Poll::Ready(Waited::Over(ending));
    }
    if let Poll::Ready(answered) = answer.poll(cx) {
        return Poll::Ready(Waited::Answered(answered));
    }
    guard.map_or(Poll::Pending, |guard| guard.poll_over(cx)).map(Waited::Over)
}
