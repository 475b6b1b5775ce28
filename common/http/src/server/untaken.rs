//! Pieces of HTTP/2 answers that their peer leaves untaken: its flow control holds them back without a word from the socket.
//! Not here: what a socket itself does not take (`watch.rs`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::executor::TaskEnd;

/// The untaken pieces of one connection, by the number of their request.
#[derive(Debug, Default)]
pub(super) struct Untaken(Mutex<Pieces>);

#[derive(Debug, Default)]
struct Pieces {
    of: BTreeMap<u64, Piece>,
    /// When one was taken last.
    taken: Option<Instant>,
}

#[derive(Debug)]
struct Piece {
    since: Instant,
    /// Ends the request.
    end: Option<TaskEnd>,
}

impl Untaken {
    /// A request hands out a piece, which means that the one before was taken.
    pub(super) fn hand_out(&self, number: u64, end: Option<&TaskEnd>) {
        let now = Instant::now();
        let mut pieces = self.pieces();
        if pieces.of.insert(number, Piece { since: now, end: end.cloned() }).is_some() {
            pieces.taken = Some(now);
        }
    }

    /// The last piece of a request was taken, or nobody wants it any more.
    pub(super) fn take(&self, number: u64) {
        let mut pieces = self.pieces();
        if pieces.of.remove(&number).is_some() {
            pieces.taken = Some(Instant::now());
        }
    }

    /// For how long the oldest piece has waited.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.pieces().of.values().map(|piece| piece.since.elapsed()).max()
    }

    /// Ends the requests whose pieces have waited this long, and says whether the connection has nothing else: none of its
    /// `open` requests goes on, and nothing at all was taken meanwhile. Then none is ended one by one.
    pub(super) fn end_stalled(&self, limit: Duration, open: u64) -> bool {
        let mut pieces = self.pieces();
        let is_stalled = |piece: &Piece| piece.since.elapsed() >= limit;
        let stalled = pieces.of.values().filter(|piece| is_stalled(piece)).count();
        if stalled == 0 {
            return false;
        }
        let is_quiet = pieces.taken.is_none_or(|taken| taken.elapsed() >= limit);
        let can_end = pieces.of.values().filter(|piece| is_stalled(piece)).all(|piece| piece.end.is_some());
        if !can_end || (is_quiet && u64::try_from(stalled).is_ok_and(|stalled| stalled >= open)) {
            return true;
        }
        pieces.of.retain(|_, piece| {
            let ended = piece.end.as_ref().filter(|_| is_stalled(piece));
            ended.inspect(|end| end.end()).is_none()
        });
        false
    }

    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
