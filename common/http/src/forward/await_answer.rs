//! Waiting for an answer's head, fairly: a long upload is not a slow upstream.
//! Not the limit on the body that follows, which may stream for ever.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::upload::Upload;

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited<T> {
    /// It came.
    Answered(T),
    /// Nothing at all has happened for the limit.
    TooLong,
    /// The deadline came first.
    Over,
}

/// The output of `answer`, if it comes before `deadline`, and while something happens at least every `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    deadline: Option<Instant>,
    upload: Option<&Upload>,
    answer: impl Future<Output = T>,
) -> Waited<T> {
    let mut answer = pin!(answer);
    let mut seen = upload.map(Upload::mark);
    loop {
        let now = Instant::now();
        let patience = now.checked_add(limit).unwrap_or(now);
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        if let Ok(answered) = timeout_at(until, answer.as_mut()).await {
            return Waited::Answered(answered);
        }
        if deadline.is_some_and(|deadline| deadline <= until) {
            return Waited::Over;
        }
        let now = upload.map(Upload::mark);
        if now == seen {
            return Waited::TooLong;
        }
        seen = now;
    }
}
