//! When keys change: a pure function of the keys, the time and the settings.
//! Not here: making the changes (`keys::keeper`).

use std::collections::BTreeSet;
use std::time::Duration;

use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, Thumbprint};

use super::life::{KeyLife, Phase};

/// Times are whole seconds, cut off: two of them that differ by `n` may be less than `n` apart. One more is enough.
const CUT_OFF: Duration = Duration::from_secs(1);
/// The longest time for which a verifier is told that it may keep the key set.
const LONGEST_MAX_AGE: Duration = Duration::from_mins(5);

/// When keys come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// How long a key signs.
    pub(crate) rotate_every: Duration,
    /// How long a key is published before it signs.
    pub(crate) lead: Duration,
    /// How long a key stays after the last token that it signed has expired.
    pub(crate) retain: Duration,
    /// The algorithms that there is a key for.
    pub(crate) algorithms: BTreeSet<Algorithm>,
}

/// What has to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make the first key of an algorithm. It signs at once: no verifier can know a token of that algorithm.
    Begin(Algorithm),
    /// Make and publish the next key of an algorithm.
    Publish(Algorithm),
    /// Let a published key sign, and the one before it no more.
    Activate {
        /// The key.
        id: Thumbprint,
        /// The one before it.
        retires: Option<Thumbprint>,
    },
    /// Let a key of an algorithm that is not in use any more sign no more.
    Retire(Thumbprint),
    /// Forget a key.
    Remove(KeyLife),
}

impl Schedule {
    /// All that has to be done now.
    pub(crate) fn due(&self, keys: &[KeyLife], now: Timestamp) -> Vec<Step> {
        let mut steps: Vec<Step> =
            self.algorithms.iter().filter_map(|algorithm| self.due_for(*algorithm, keys, now)).collect();
        for key in keys {
            match key.phase() {
                Phase::Retired if self.stays_until(key) <= now => steps.push(Step::Remove(*key)),
                Phase::Published | Phase::Active if !self.algorithms.contains(&key.algorithm) => {
                    steps.push(Step::Retire(key.id));
                }
                Phase::Published | Phase::Active | Phase::Retired => {}
            }
        }
        steps
    }

    fn due_for(&self, algorithm: Algorithm, keys: &[KeyLife], now: Timestamp) -> Option<Step> {
        let active = find(keys, algorithm, Phase::Active);
        let next = find(keys, algorithm, Phase::Published);
        match (active, next) {
            (None, None) => Some(Step::Begin(algorithm)),
            // After a revoke for which no fresh key could be made. Verifiers ask for an unknown key; waiting helps nobody.
            (None, Some(next)) => Some(Step::Activate { id: next.id, retires: None }),
            (Some(active), Some(next)) => (self.signs_from(next) <= now)
                .then_some(Step::Activate { id: next.id, retires: Some(active.id) }),
            (Some(active), None) => (self.followed_from(active) <= now).then_some(Step::Publish(algorithm)),
        }
    }

    /// The next time at which something will be due, as far as it is known now.
    pub(crate) fn next(&self, keys: &[KeyLife]) -> Option<Timestamp> {
        let times = keys.iter().map(|key| match key.phase() {
            Phase::Published => self.signs_from(key),
            Phase::Active if find(keys, key.algorithm, Phase::Published).is_some() => Timestamp::MAX,
            Phase::Active => self.followed_from(key),
            Phase::Retired => self.stays_until(key),
        });
        times.min()
    }

    /// When a published key begins to sign: then no verifier holds a set without it that it believes to be fresh.
    pub(crate) fn signs_from(&self, key: &KeyLife) -> Timestamp {
        key.published_at.saturating_add(self.lead).saturating_add(CUT_OFF)
    }

    /// When the follower of an active key is published.
    fn followed_from(&self, key: &KeyLife) -> Timestamp {
        let signs_for = self.rotate_every.saturating_sub(self.lead).saturating_sub(CUT_OFF);
        key.activated_at.unwrap_or(key.published_at).saturating_add(signs_for)
    }

    /// When the next key takes over from an active one.
    pub(crate) fn followed_by(&self, next: Option<&KeyLife>, active: &KeyLife) -> Timestamp {
        let usually = active.activated_at.unwrap_or(active.published_at).saturating_add(self.rotate_every);
        next.map_or(usually, |next| self.signs_from(next))
    }

    /// When a retired key is forgotten. One that never signed is not needed by anybody.
    pub(crate) fn stays_until(&self, key: &KeyLife) -> Timestamp {
        let retired_at = key.retired_at.unwrap_or(Timestamp::MAX);
        if key.activated_at.is_none() && key.tokens_until.is_none() {
            return retired_at;
        }
        let last_use = key.tokens_until.map_or(retired_at, |until| until.max(retired_at));
        last_use.saturating_add(self.retain).saturating_add(CUT_OFF)
    }

    /// How long a verifier may keep the key set, well within the lead: fetching takes time, too.
    pub(crate) fn max_age(&self) -> Duration {
        Duration::from_secs(self.lead.as_secs().div_euclid(2)).clamp(CUT_OFF, LONGEST_MAX_AGE)
    }
}

/// The key of an algorithm in a phase; the store sees to it that at most one is active.
pub(crate) fn find(keys: &[KeyLife], algorithm: Algorithm, phase: Phase) -> Option<&KeyLife> {
    keys.iter().find(|key| key.algorithm == algorithm && key.phase() == phase)
}

#[cfg(test)]
mod tests;
