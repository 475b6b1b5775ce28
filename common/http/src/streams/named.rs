//! Streams that can be found by a name while they are open, and whose end can be moved.
//! Not a decision: who may move it is known elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::{Entry, Guard, Holder, Inner, Streams};

/// The name of a stream: a number that cannot be guessed. It is gone with the stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamName(u128);

impl StreamName {
    /// The name of these random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Reads what [`StreamName::to_text`] wrote, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let plain = text.len() == 32 && text.bytes().all(digit);
        plain.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// The name as it is sent to the stream's holder.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{:032x}", self.0)
    }
}

/// Who knows the name may ask for more time, so it stays out of logs.
impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamName([redacted])")
    }
}

/// What a stream rests on from now on.
#[derive(Clone)]
pub struct Renewal {
    /// Whom it belongs to.
    pub holder: Holder,
    /// When it must end.
    pub deadline: Instant,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Guard {
    /// Lets the stream be found by `name` until it ends. `holder` takes the place of the one it was registered with, and
    /// must fit wherever that one did.
    pub fn name(&self, name: StreamName, holder: Holder) {
        let (streams, place) = (self.view.streams(), self.view.place());
        let before = match streams.shard(place.0).get_mut(place.1) {
            Some(entry) => {
                entry.name = Some(name);
                std::mem::replace(&mut entry.holder, holder)
            }
            None => holder,
        };
        // The last reference to it may be this one.
        drop(before);
        streams.named().insert(name, place);
    }
}

impl Streams {
    /// Whom the stream of this name belongs to, if it is open and has not to end.
    #[must_use]
    pub fn holder(&self, name: StreamName) -> Option<Holder> {
        self.inner.at(name, |entry| Some(Arc::clone(&entry.holder)))
    }

    /// Moves the end of a stream, if that still belongs to `seen` and has not to end. Of two who saw the same holder only
    /// one succeeds.
    pub fn renew(&self, name: StreamName, seen: &Holder, renewal: Renewal) -> bool {
        let Renewal { holder, deadline } = renewal;
        let renewed = self.inner.at(name, |entry| {
            if !Arc::ptr_eq(&entry.holder, seen) {
                return None;
            }
            let nearer = entry.deadline.is_none_or(|before| deadline < before);
            entry.deadline = Some(deadline);
            Some((std::mem::replace(&mut entry.holder, holder), nearer))
        });
        if renewed.as_ref().is_some_and(|(_, nearer)| *nearer) {
            self.inner.ends.fetch_add(1, SeqCst);
        }
        renewed.is_some()
    }
}

impl Inner {
    /// Gives the entry of this name to `look`, unless it has to end.
    fn at<T>(&self, name: StreamName, look: impl FnOnce(&mut Entry) -> Option<T>) -> Option<T> {
        let (shard, key) = self.named().get(&name).copied()?;
        let mut shard = self.shard(shard);
        // The place may be another's by now.
        let entry = shard.get_mut(key).filter(|entry| entry.name == Some(name))?;
        let late = entry.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || entry.ended.is_some() { None } else { look(entry) }
    }

    pub(super) fn named(&self) -> MutexGuard<'_, HashMap<StreamName, (usize, usize)>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
