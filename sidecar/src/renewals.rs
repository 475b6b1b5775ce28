//! The open streams of one upstream whose gateway renews them: which rest on an old token, and when to tell of the new one.
//! No socket and no task: `keeper.rs` gives it those. An id is forgotten together with its stream.

mod keeper;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use symbolon_wire::header;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::credentials::Credential;
use crate::dice::Dice;
use crate::time::Now;

const STREAM: HeaderName = HeaderName::from_static(header::SYMBOLON_STREAM);
/// A longer id is none.
const ID_MOST: usize = 128;
/// Renewals of streams that rest on one token are spread over at most this time.
const SPREAD_MOST: Duration = Duration::from_secs(30);
const AGAIN_FIRST: Duration = Duration::from_millis(250);
const AGAIN_MOST: Duration = Duration::from_secs(5);
/// So many are renewed before the list is looked at again.
const BATCH: usize = 32;

/// The id that a gateway gave to a stream.
#[derive(Clone)]
pub(crate) struct StreamId(HeaderValue);

/// The open streams of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Renewals {
    table: Mutex<Table>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    streams: HashMap<u64, Stream>,
    /// Which of them have their time, the first one first.
    times: BTreeSet<(Instant, u64)>,
    /// What those that need no time rest on.
    current: Option<Arc<Credential>>,
    /// Whether one rests on another credential and has no time yet.
    unplanned: bool,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    /// What it rests on.
    credential: Arc<Credential>,
    /// When it is to be renewed, once there is something to renew it with.
    due: Option<Instant>,
    tries: u32,
}

/// A stream while it is open.
#[derive(Debug)]
pub(crate) struct Open {
    renewals: Arc<Renewals>,
    number: u64,
}

/// A stream that is due.
#[derive(Debug)]
struct Due {
    number: u64,
    id: StreamId,
    /// It was asked for before, in vain.
    again: bool,
}

/// What came of asking for a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Came {
    /// The stream rests on the new token.
    Renewed,
    /// The gateway said no: the stream ends with its old token.
    Refused,
    /// Whoever answered does not know the stream. Of several gateways another one may.
    Unknown,
    /// No answer that says yes or no.
    Failed,
}

impl StreamId {
    /// Takes the id out of an answer, so that the app never sees it. Two ids are none.
    pub(crate) fn take(headers: &mut HeaderMap) -> Option<Self> {
        let single = headers.get_all(&STREAM).iter().count() == 1;
        let mut id = headers.remove(&STREAM)?;
        id.set_sensitive(true);
        let plain = id.len() <= ID_MOST && id.as_bytes().iter().all(u8::is_ascii_graphic);
        (single && plain && !id.is_empty()).then_some(Self(id))
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamId([redacted])")
    }
}

impl Renewals {
    /// Takes in a stream that was opened with this credential.
    pub(crate) fn open(self: &Arc<Self>, id: StreamId, credential: Arc<Credential>) -> Open {
        let mut table = self.table();
        let number = table.next;
        table.next = number.wrapping_add(1);
        // It may rest on a token that was replaced while it was opened.
        let is_late = table.current.as_ref().is_some_and(|current| !Arc::ptr_eq(current, &credential));
        table.unplanned |= is_late;
        table.streams.insert(number, Stream { id, credential, due: None, tries: 0 });
        drop(table);
        if is_late {
            self.news.notify_one();
        }
        Open { renewals: Arc::clone(self), number }
    }

    /// Gives every stream that rests on another credential its time, and says when the first one is due.
    fn plan(&self, current: &Arc<Credential>, now: Now, dice: &mut Dice) -> Option<Instant> {
        let mut table = self.table();
        let Table { streams, times, current: known, unplanned, .. } = &mut *table;
        let is_known = known.as_ref().is_some_and(|known| Arc::ptr_eq(known, current));
        if *unplanned || !is_known {
            for (number, stream) in streams {
                if stream.due.is_none() && !Arc::ptr_eq(&stream.credential, current) {
                    let spread = (stream.credential.left(now) / 2).min(SPREAD_MOST);
                    let due = now.tick + dice.between(0, spread);
                    stream.due = Some(due);
                    times.insert((due, *number));
                }
            }
            (*known, *unplanned) = (Some(Arc::clone(current)), false);
        }
        times.first().map(|(due, _)| *due)
    }

    /// Some of the streams that are due.
    fn due(&self, now: Now) -> Vec<Due> {
        let table = self.table();
        let due = table.times.range(..=(now.tick, u64::MAX)).take(BATCH);
        let due = due.filter_map(|(_, number)| Some((*number, table.streams.get(number)?)));
        due.map(|(number, stream)| Due { number, id: stream.id.clone(), again: stream.tries > 0 }).collect()
    }

    /// Takes in what came of asking for one, and says what that means: nobody knows a stream whose token is over.
    fn settle(
        &self,
        (number, came): (u64, Came),
        current: &Arc<Credential>,
        now: Now,
        dice: &mut Dice,
    ) -> Came {
        let mut table = self.table();
        let Table { streams, times, .. } = &mut *table;
        let Some(stream) = streams.get_mut(&number) else { return came };
        if let Some(due) = stream.due.take() {
            times.remove(&(due, number));
        }
        match came {
            Came::Renewed => {
                stream.credential = Arc::clone(current);
                stream.tries = 0;
            }
            Came::Unknown if stream.credential.left(now).is_zero() => {
                streams.remove(&number);
                return Came::Refused;
            }
            Came::Refused => {
                streams.remove(&number);
            }
            Came::Unknown | Came::Failed => {
                let factor = 2_u32.saturating_pow(stream.tries);
                stream.tries = stream.tries.saturating_add(1);
                let pause = AGAIN_FIRST.saturating_mul(factor).min(AGAIN_MOST);
                let due = now.tick + dice.between(50, pause);
                stream.due = Some(due);
                times.insert((due, number));
            }
        }
        came
    }

    fn forget(&self, number: u64) {
        let mut table = self.table();
        if let Some(due) = table.streams.remove(&number).and_then(|stream| stream.due) {
            table.times.remove(&(due, number));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.renewals.forget(self.number);
    }
}

#[cfg(test)]
mod tests;
