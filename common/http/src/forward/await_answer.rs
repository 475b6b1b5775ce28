//! Waiting for an answer's head, fairly: a long upload is not a slow upstream.
//! Not the limit on the body that follows, which may stream for ever.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use super::outgoing::Progress;

/// The output of `answer`, or `None` when nothing at all has happened for `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    progress: Option<&Progress>,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = pin!(answer);
    let mut seen = progress.map(Progress::mark);
    loop {
        if let Ok(answered) = tokio::time::timeout(limit, answer.as_mut()).await {
            return Some(answered);
        }
        let now = progress.map(Progress::mark);
        if now == seen {
            return None;
        }
        seen = now;
    }
}
