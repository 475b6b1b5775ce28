//! When an issuer may be asked for its keys: one fetch at a time, and not too often, whatever callers send.
//! Not here: fetching, or what a fetch brings.

use std::collections::HashMap;
use std::time::Duration;

use symbolon_identity::Timestamp;
use symbolon_jws::sha256;

/// How long a `kid` is known to be unknown; afterwards it is asked for once more.
const NEGATIVE_LIFE: Duration = Duration::from_mins(1);
/// The most `kid`s that are known to be unknown.
const MAX_UNKNOWN: usize = 1024;

/// What is known about past fetches of one issuer's keys.
///
/// Fetches are numbered. A `kid` is unknown for certain only if a fetch succeeded that started after the `kid` was
/// first seen; until then the issuer might have published it just now, and the answer is "try again".
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// The number of the last fetch that started.
    started: u64,
    /// The number of the last fetch that ended.
    ended: u64,
    /// The number of the last fetch that succeeded.
    succeeded: u64,
    /// Whether a caller waits for a fetch that has not started.
    wanted: bool,
    /// When the last fetch started or was wanted.
    last: Option<Timestamp>,
    /// The fetches that had started when a `kid` was first seen, by the hash of the `kid`.
    seen: HashMap<[u8; 32], Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    after: u64,
    at: Timestamp,
}

/// What to do about keys that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advice {
    /// A fetch succeeded since: what is missing does not exist.
    Certain,
    /// Ask for a fetch, then wait until the fetch with this number has ended.
    Ask(u64),
    /// A fetch is on its way; wait until it has ended.
    Wait(u64),
    /// Not now; it is worth trying again after this long.
    Later(Duration),
}

/// How much one caller may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The least time between two fetches.
    pub(crate) min_interval: Duration,
    /// Whether the caller may still wait for a fetch; it waits for one only.
    pub(crate) may_wait: bool,
}

impl Attempts {
    /// What to do about a `kid` that the current set lacks; tokens without one are all of the same unknown key.
    pub(crate) fn missing_key(&mut self, key_id: Option<&str>, patience: Patience, now: Timestamp) -> Advice {
        let hash = sha256(key_id.unwrap_or_default().as_bytes());
        let known =
            self.seen.get(&hash).filter(|seen| now.saturating_since(seen.at) <= NEGATIVE_LIFE).copied();
        let seen = known.unwrap_or(Seen { after: self.started, at: now });
        if known.is_none() {
            self.remember(hash, seen);
        }
        if self.succeeded > seen.after {
            return Advice::Certain;
        }
        self.missing_set(patience, now)
    }

    /// What to do about a set that is missing altogether, or too old.
    pub(crate) fn missing_set(&mut self, patience: Patience, now: Timestamp) -> Advice {
        let remaining = self.remaining(patience.min_interval, now);
        if !patience.may_wait {
            return Advice::Later(if remaining.is_zero() { patience.min_interval } else { remaining });
        }
        let next = self.started.saturating_add(1);
        if self.wanted {
            return Advice::Wait(next);
        }
        if self.started > self.ended {
            return Advice::Wait(self.started);
        }
        if !remaining.is_zero() {
            return Advice::Later(remaining);
        }
        self.wanted = true;
        self.last = Some(now);
        Advice::Ask(next)
    }

    /// How long no fetch may be asked for. Callers' times differ a little; but a clock that was put back by more must
    /// not stop fetches until it has caught up.
    fn remaining(&self, min_interval: Duration, now: Timestamp) -> Duration {
        let Some(last) = self.last else { return Duration::ZERO };
        match now.saturating_since(last) {
            since if since.is_zero() && last.saturating_since(now) > min_interval => Duration::ZERO,
            since => min_interval.saturating_sub(since),
        }
    }

    /// Whether a caller waits for a fetch that has not started.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// A full list forgets what is certain first: that costs a caller one more try, never a wrong answer.
    fn remember(&mut self, hash: [u8; 32], seen: Seen) {
        if self.seen.len() >= MAX_UNKNOWN {
            let succeeded = self.succeeded;
            self.seen.retain(|_, seen| seen.after >= succeeded);
        }
        if self.seen.len() >= MAX_UNKNOWN {
            self.seen.clear();
        }
        self.seen.insert(hash, seen);
    }

    /// A fetch starts.
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.started = self.started.saturating_add(1);
        self.wanted = false;
        self.last = Some(now);
    }

    /// The fetch that started last has ended; returns its number.
    pub(crate) fn end(&mut self, success: bool) -> u64 {
        self.ended = self.started;
        if success {
            self.succeeded = self.started;
        }
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Patience = Patience { min_interval: Duration::from_secs(10), may_wait: true };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds).unwrap()
    }

    #[test]
    fn a_kid_is_unknown_only_after_a_fetch_that_succeeded_since_it_was_first_seen() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.missing_key(Some("a"), WAITS, at(100)), Advice::Ask(1));
        assert_eq!(attempts.missing_key(Some("a"), WAITS, at(100)), Advice::Wait(1));
        attempts.start(at(100));
        assert_eq!(
            attempts.missing_key(Some("b"), WAITS, at(100)),
            Advice::Wait(1),
            "b came after the start"
        );
        attempts.end(true);
        assert_eq!(attempts.missing_key(Some("a"), WAITS, at(101)), Advice::Certain);
        assert_eq!(attempts.missing_key(Some("b"), WAITS, at(101)), Advice::Later(Duration::from_secs(9)));
        assert_eq!(attempts.missing_key(Some("b"), WAITS, at(110)), Advice::Ask(2));
        attempts.start(at(110));
        attempts.end(false);
        assert_eq!(attempts.missing_key(Some("b"), WAITS, at(111)), Advice::Later(Duration::from_secs(9)));
    }

    #[test]
    fn a_flood_of_kids_asks_once_an_interval() {
        let mut attempts = Attempts::default();
        let mut asked = 0;
        for second in 0..30 {
            for n in 0..1000 {
                if let Advice::Ask(_) =
                    attempts.missing_key(Some(&format!("{second}-{n}")), WAITS, at(second))
                {
                    asked += 1;
                    attempts.start(at(second));
                    attempts.end(true);
                }
            }
        }
        assert_eq!(asked, 3);
        assert!(attempts.seen.len() <= MAX_UNKNOWN);
    }

    #[test]
    fn a_kid_is_asked_for_again_after_a_minute() {
        let mut attempts = Attempts::default();
        attempts.missing_key(Some("a"), WAITS, at(100));
        attempts.start(at(100));
        attempts.end(true);
        assert_eq!(attempts.missing_key(Some("a"), WAITS, at(160)), Advice::Certain);
        assert_eq!(attempts.missing_key(Some("a"), WAITS, at(161)), Advice::Ask(2));
    }

    #[test]
    fn a_caller_that_has_waited_asks_for_nothing_more() {
        let mut attempts = Attempts::default();
        let tired = Patience { may_wait: false, ..WAITS };
        assert_eq!(attempts.missing_set(tired, at(100)), Advice::Later(Duration::from_secs(10)));
        assert!(!attempts.is_wanted());
        assert_eq!(attempts.missing_set(WAITS, at(100)), Advice::Ask(1));
    }

    #[test]
    fn a_caller_whose_time_is_a_little_behind_asks_for_nothing_more() {
        let mut attempts = Attempts::default();
        attempts.start(at(101));
        attempts.end(true);
        assert_eq!(attempts.missing_key(Some("a"), WAITS, at(100)), Advice::Later(Duration::from_secs(10)));
    }

    #[test]
    fn a_clock_that_went_back_does_not_stop_fetches() {
        let mut attempts = Attempts::default();
        attempts.start(at(5000));
        attempts.end(true);
        assert_eq!(attempts.missing_key(Some("a"), WAITS, at(100)), Advice::Ask(2));
    }
}
