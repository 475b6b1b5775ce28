//! Tokens whose signature was verified, so that it need not be verified again.
//! Not a verdict: audience, scope, time, key and proof are checked on every request, found here or not.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use symbolon_token::TokenHash;

use crate::caller::VerifiedCaller;

/// A bounded map from a token's hash to its caller. What was not used for a while goes first.
#[derive(Debug)]
pub struct TokenCache<T = VerifiedCaller> {
    shards: Vec<Mutex<Shard<T>>>,
    generation_limit: usize,
}

type Map<T> = HashMap<TokenHash, Arc<T>, BuildHasherDefault<HashPrefix>>;

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten. An entry that is
/// used moves to the young one, so a flood of tokens used once cannot push out those in use within half the capacity.
#[derive(Debug)]
struct Shard<T> {
    young: Map<T>,
    old: Map<T>,
}

impl<T> Default for Shard<T> {
    fn default() -> Self {
        Self { young: Map::default(), old: Map::default() }
    }
}

const MOST_SHARDS: usize = 64;
const ENTRIES_A_SHARD: usize = 256;

impl<T> TokenCache<T> {
    /// A cache of at most this many tokens; with 0 it keeps none.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        let shards = entries.div_euclid(ENTRIES_A_SHARD).clamp(1, MOST_SHARDS);
        let generation_limit = entries.checked_div(shards.saturating_mul(2)).unwrap_or_default();
        Self { shards: std::iter::repeat_with(Mutex::default).take(shards).collect(), generation_limit }
    }

    /// The caller of a token that was verified before.
    #[must_use]
    pub fn find(&self, token: &TokenHash) -> Option<Arc<T>> {
        if self.generation_limit == 0 {
            return None;
        }
        let mut shard = self.shard(token)?;
        if let Some(found) = shard.young.get(token) {
            return Some(Arc::clone(found));
        }
        let found = shard.old.remove(token)?;
        shard.insert(*token, Arc::clone(&found), self.generation_limit);
        Some(found)
    }

    /// Keeps a caller.
    pub fn keep(&self, token: TokenHash, caller: Arc<T>) {
        if self.generation_limit > 0
            && let Some(mut shard) = self.shard(&token)
        {
            shard.insert(token, caller, self.generation_limit);
        }
    }

    /// Forgets a token whose time or key has gone.
    pub fn forget(&self, token: &TokenHash) {
        if let Some(mut shard) = self.shard(token) {
            shard.young.remove(token);
            shard.old.remove(token);
        }
    }

    /// How many tokens are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = |shard: &Mutex<Shard<T>>| {
            let shard = lock(shard);
            shard.young.len().saturating_add(shard.old.len())
        };
        self.shards.iter().map(count).sum()
    }

    /// Whether no token is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last byte chooses the shard, the first eight the place in its map.
    fn shard(&self, token: &TokenHash) -> Option<MutexGuard<'_, Shard<T>>> {
        let last = token.as_bytes().last().copied().map(usize::from)?;
        self.shards.get(last.checked_rem(self.shards.len())?).map(lock)
    }
}

impl<T> Shard<T> {
    fn insert(&mut self, token: TokenHash, caller: Arc<T>, limit: usize) {
        if self.young.len() >= limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&token);
        self.young.insert(token, caller);
    }
}

/// A panic elsewhere cannot leave an entry that was not verified, so a poisoned lock is as good as any.
fn lock<T>(shard: &Mutex<Shard<T>>) -> MutexGuard<'_, Shard<T>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A SHA-256 is already spread evenly, and only tokens that verified become keys, so its first bytes are hash enough.
#[derive(Debug, Default)]
struct HashPrefix(u64);

impl Hasher for HashPrefix {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(prefix) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*prefix);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: usize) -> TokenHash {
        TokenHash::of(&number.to_string())
    }

    #[test]
    fn what_is_kept_is_found_until_it_is_forgotten() {
        let cache = TokenCache::new(1_000);
        cache.keep(token(1), Arc::new("one"));
        assert_eq!(cache.find(&token(1)).as_deref(), Some(&"one"));
        assert_eq!(cache.find(&token(2)), None);
        cache.forget(&token(1));
        assert_eq!(cache.find(&token(1)), None);
        assert!(cache.is_empty());
    }

    #[test]
    fn it_never_grows_beyond_its_limit() {
        for limit in [2, 10, 300, 5_000] {
            let cache = TokenCache::new(limit);
            for number in 0..20_000 {
                cache.keep(token(number), Arc::new(number));
            }
            assert!(cache.len() <= limit, "{limit}: {}", cache.len());
            assert!(cache.len() >= limit / 3, "{limit}: {}", cache.len());
        }
    }

    #[test]
    fn a_token_in_use_survives_a_flood_of_others() {
        let cache = TokenCache::new(100);
        cache.keep(token(0), Arc::new(0));
        for number in 1..10_000 {
            cache.keep(token(number), Arc::new(number));
            if number % 20 == 0 {
                assert!(cache.find(&token(0)).is_some(), "lost after {number}");
            }
        }
    }

    #[test]
    fn with_no_entries_it_is_off() {
        let cache = TokenCache::new(0);
        cache.keep(token(1), Arc::new(1));
        assert_eq!(cache.find(&token(1)), None);
    }
}
