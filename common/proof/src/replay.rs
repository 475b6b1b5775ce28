//! A bounded memory of the proofs that were used.
//! Not here: a memory shared by replicas; that is a store's matter.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_jws::Thumbprint;

use crate::{CheckedProof, MAX_AGE};

const SHARDS: usize = 16;
/// One key may hold one part in this many of the window, so that its owner cannot fill it for everybody.
const KEY_SHARE: usize = 4;

/// Remembers each proof until it would be refused as too old anyway.
///
/// When it is full it refuses: a forgotten proof could be used again. One key can fill only a quarter of it, unless
/// [`per_key`](Self::per_key) says otherwise. It is memory: see [`since`](Self::since) about restarts.
#[derive(Debug)]
pub struct ReplayWindow {
    shards: Vec<Mutex<Shard>>,
    /// SECURITY: keyed at random; otherwise a caller could choose each `jti` so that one shard gets all of its proofs.
    shard_choice: RandomState,
    room: Room,
    /// The end of the youngest proof that was made before the memory began.
    unknown_until: Option<Timestamp>,
}

/// How much one shard remembers.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Of all keys.
    all: usize,
    /// Of one key.
    each: usize,
}

/// Why a proof was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The proof was used before, or it ran out between its check and now.
    #[error("the proof was already used")]
    Replayed,
    /// Too many proofs are remembered at the moment, of all keys or of this one.
    #[error("too many proofs are remembered at the moment")]
    Full,
    /// The proof was made before the memory began, so nobody knows whether it was used.
    #[error("the proof was made before this process started, and whether it was used is not known any more")]
    BeforeMemory,
}

impl ReplayError {
    /// The stable code of the refusal.
    #[must_use]
    pub fn reason_code(self) -> ReasonCode {
        match self {
            Self::Replayed => ReasonCode::ProofReplayed,
            Self::Full | Self::BeforeMemory => ReasonCode::ReplayUnavailable,
        }
    }

    /// Whether the refusal is for want of room on our side.
    #[must_use]
    pub fn is_our_fault(self) -> bool {
        match self {
            Self::Replayed => false,
            Self::Full | Self::BeforeMemory => true,
        }
    }
}

#[derive(Debug, Default)]
struct Shard {
    used: HashSet<[u8; 32]>,
    by_key: HashMap<Thumbprint, usize>,
    by_expiry: BTreeMap<Timestamp, Vec<Used>>,
    /// The end of the youngest proof that was forgotten. One that ends no later may have been forgotten too, even if
    /// the clock has since jumped back.
    forgotten_until: Timestamp,
}

/// A proof that was used.
#[derive(Debug, Clone, Copy)]
struct Used {
    id: [u8; 32],
    key: Thumbprint,
}

impl ReplayWindow {
    /// A window that remembers about `capacity` proofs; a proof is remembered for at most 65 seconds.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        let all = capacity.div_ceil(SHARDS);
        let room = Room { all, each: all.div_ceil(KEY_SHARE) };
        Self { shards, shard_choice: RandomState::new(), room, unknown_until: None }
    }

    /// Remembers about this many proofs of one key, instead of a quarter of all.
    #[must_use]
    pub fn per_key(mut self, most: usize) -> Self {
        self.room.each = most.div_ceil(SHARDS);
        self
    }

    /// Refuses proofs that were made before `start`: what the process before this one had admitted is forgotten.
    ///
    /// Times are whole seconds, and a proof may be made up to [`MAX_SKEW`](crate::MAX_SKEW) in the future: one that was
    /// used in the second of the start, or whose maker's clock is ahead, can still be used a second time.
    #[must_use]
    pub fn since(mut self, start: Timestamp) -> Self {
        self.unknown_until = Timestamp::from_secs(start.as_secs().saturating_sub(1))
            .ok()
            .map(|last| last.saturating_add(MAX_AGE));
        self
    }

    /// Admits a proof once.
    ///
    /// # Errors
    /// [`ReplayError::Replayed`] the second time, [`ReplayError::Full`] if it cannot be remembered,
    /// [`ReplayError::BeforeMemory`] if it was made before the start that [`since`](Self::since) was told.
    pub fn admit(&self, proof: &CheckedProof, now: Timestamp) -> Result<(), ReplayError> {
        if self.unknown_until.is_some_and(|until| proof.expires_at() <= until) {
            return Err(ReplayError::BeforeMemory);
        }
        let used = Used { id: proof.replay_id(), key: proof.thumbprint() };
        let [byte, ..] = self.shard_choice.hash_one(used.id).to_ne_bytes();
        let index = usize::from(byte) % SHARDS;
        // INVARIANT: the index is below the number of shards; without one, nothing is admitted.
        let shard = self.shards.get(index).ok_or(ReplayError::Full)?;
        // A panic while the lock was held cannot leave the set short of an admitted proof: it is inserted in one step.
        shard.lock().unwrap_or_else(PoisonError::into_inner).admit(used, proof.expires_at(), now, self.room)
    }

    /// The number of proofs remembered at the moment.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).used.len();
        self.shards.iter().map(count).sum()
    }

    /// Whether no proof is remembered at the moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shard {
    fn admit(
        &mut self,
        proof: Used,
        expires_at: Timestamp,
        now: Timestamp,
        room: Room,
    ) -> Result<(), ReplayError> {
        self.forget(now);
        if expires_at < now || expires_at <= self.forgotten_until || self.used.contains(&proof.id) {
            return Err(ReplayError::Replayed);
        }
        let of_this_key = self.by_key.get(&proof.key).copied().unwrap_or(0);
        if self.used.len() >= room.all || of_this_key >= room.each {
            return Err(ReplayError::Full);
        }
        self.used.insert(proof.id);
        self.by_key.insert(proof.key, of_this_key.saturating_add(1));
        self.by_expiry.entry(expires_at).or_default().push(proof);
        Ok(())
    }

    /// Forgets what ended before `now`.
    fn forget(&mut self, now: Timestamp) {
        while let Some(bucket) = self.by_expiry.first_entry().filter(|bucket| *bucket.key() < now) {
            self.forgotten_until = self.forgotten_until.max(*bucket.key());
            for proof in bucket.remove() {
                self.used.remove(&proof.id);
                self.forget_one_of(proof.key);
            }
        }
    }

    fn forget_one_of(&mut self, key: Thumbprint) {
        if let Entry::Occupied(mut count) = self.by_key.entry(key) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests;
