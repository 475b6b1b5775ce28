//! A bounded memory of the proofs that were used.
//! Not here: a memory shared by replicas; that is a store's matter.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use symbolon_identity::{ReasonCode, Timestamp};

use crate::CheckedProof;

const SHARDS: usize = 16;

/// Remembers each proof until it would be refused as too old anyway.
///
/// When it is full it refuses: a forgotten proof could be used again.
#[derive(Debug)]
pub struct ReplayWindow {
    shards: Vec<Mutex<Shard>>,
    capacity: usize,
}

/// Why a proof was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The proof was used before, or it ran out between its check and now.
    #[error("the proof was already used")]
    Replayed,
    /// Too many proofs are remembered at the moment.
    #[error("too many proofs are remembered at the moment")]
    Full,
}

impl ReplayError {
    /// The stable code of the refusal.
    #[must_use]
    pub fn reason_code(self) -> ReasonCode {
        match self {
            Self::Replayed => ReasonCode::ProofReplayed,
            Self::Full => ReasonCode::ReplayUnavailable,
        }
    }

    /// Whether the refusal is for want of room on our side.
    #[must_use]
    pub fn is_our_fault(self) -> bool {
        match self {
            Self::Replayed => false,
            Self::Full => true,
        }
    }
}

#[derive(Debug, Default)]
struct Shard {
    used: HashSet<[u8; 32]>,
    by_expiry: BTreeMap<Timestamp, Vec<[u8; 32]>>,
    /// The end of the youngest proof that was forgotten. One that ends no later may have been forgotten too, even if
    /// the clock has since jumped back.
    forgotten_until: Timestamp,
}

impl ReplayWindow {
    /// A window that remembers about `capacity` proofs; a proof is remembered for at most 65 seconds.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { shards, capacity: capacity.div_ceil(SHARDS) }
    }

    /// Admits a proof once.
    ///
    /// # Errors
    /// [`ReplayError::Replayed`] the second time, [`ReplayError::Full`] if it cannot be remembered.
    pub fn admit(&self, proof: &CheckedProof, now: Timestamp) -> Result<(), ReplayError> {
        let id = proof.replay_id();
        let index = id.first().map_or(0, |byte| usize::from(*byte) % SHARDS);
        // INVARIANT: the index is below the number of shards; without one, nothing is admitted.
        let shard = self.shards.get(index).ok_or(ReplayError::Full)?;
        // A panic while the lock was held cannot leave the set short of an admitted proof: it is inserted in one step.
        shard.lock().unwrap_or_else(PoisonError::into_inner).admit(id, proof.expires_at(), now, self.capacity)
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
        id: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
        capacity: usize,
    ) -> Result<(), ReplayError> {
        self.forget(now);
        if expires_at < now || expires_at <= self.forgotten_until || self.used.contains(&id) {
            return Err(ReplayError::Replayed);
        }
        if self.used.len() >= capacity {
            return Err(ReplayError::Full);
        }
        self.used.insert(id);
        self.by_expiry.entry(expires_at).or_default().push(id);
        Ok(())
    }

    /// Forgets what ended before `now`.
    fn forget(&mut self, now: Timestamp) {
        while let Some(bucket) = self.by_expiry.first_entry().filter(|bucket| *bucket.key() < now) {
            self.forgotten_until = self.forgotten_until.max(*bucket.key());
            for id in bucket.remove() {
                self.used.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
