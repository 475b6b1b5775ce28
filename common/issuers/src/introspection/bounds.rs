//! How much of an issuer our questions may take, whatever callers send, and a rest when it fails.
//! Not here: how much one caller may ask; that is its program's business.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_identity::{IssuerName, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::IntrospectionError;

/// So many failures in a row, and the issuer is left alone for a while.
const PATIENCE: u32 = 5;
const SHORTEST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_mins(1);
/// When it is worth trying again after something that may have been a moment's.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// The bounds of one issuer.
#[derive(Debug)]
pub(super) struct Bounds {
    places: Semaphore,
    per_second: u32,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    second: u64,
    asked: u32,
    /// Failures since the last answer.
    failures: u32,
    rest: Option<Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    from: Timestamp,
    until: Timestamp,
}

/// Why a question is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Too many are under way, or were asked in this second.
    Busy,
    /// The issuer failed often; it is left alone for so long.
    Resting(Duration),
}

impl Bounds {
    pub(super) fn new(concurrent: u32, per_second: u32) -> Self {
        let places = usize::try_from(concurrent).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { places: Semaphore::new(places), per_second, history: Mutex::default() }
    }

    /// A place for one question, given back when it is dropped. Nobody waits for one: callers come back.
    pub(super) fn admit(&self, now: Timestamp) -> Result<SemaphorePermit<'_>, Held> {
        let mut history = self.history();
        if let Some(left) = history.rest_left(now) {
            return Err(Held::Resting(left));
        }
        history.rest = None;
        if history.second != now.as_secs() {
            (history.second, history.asked) = (now.as_secs(), 0);
        }
        if history.asked >= self.per_second {
            return Err(Held::Busy);
        }
        let place = self.places.try_acquire().map_err(|_| Held::Busy)?;
        history.asked = history.asked.saturating_add(1);
        Ok(place)
    }

    /// The issuer answered.
    pub(super) fn succeeded(&self) {
        let mut history = self.history();
        (history.failures, history.rest) = (0, None);
    }

    /// The issuer did not answer, or nothing that can be used; returns when it is worth trying again.
    pub(super) fn failed(&self, now: Timestamp) -> Duration {
        let mut history = self.history();
        // Those that were under way when the rest began say nothing new.
        if let Some(left) = history.rest_left(now) {
            return left;
        }
        history.failures = history.failures.saturating_add(1);
        let Some(beyond) = history.failures.checked_sub(PATIENCE) else { return SOON };
        let factor = 1_u32.checked_shl(beyond).unwrap_or(u32::MAX);
        let rest = SHORTEST_REST.saturating_mul(factor).min(LONGEST_REST);
        history.rest = Some(Rest { from: now, until: now.saturating_add(rest) });
        rest
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// How long the issuer is still left alone. A clock that was put back to before the rest must not make it longer.
    fn rest_left(&self, now: Timestamp) -> Option<Duration> {
        let rest = self.rest.filter(|rest| rest.from <= now && now < rest.until)?;
        Some(rest.until.saturating_since(now))
    }
}

impl Held {
    /// The same as an error about this issuer.
    pub(super) fn of(self, issuer: &IssuerName) -> IntrospectionError {
        let issuer = issuer.clone();
        match self {
            Self::Busy => IntrospectionError::Busy { issuer, retry_after: SOON },
            Self::Resting(retry_after) => IntrospectionError::Resting { issuer, retry_after },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn only_so_many_questions_are_asked_at_once_and_in_a_second() {
        let bounds = Bounds::new(2, 3);
        let places = (bounds.admit(at(0)).unwrap(), bounds.admit(at(0)).unwrap());
        assert_eq!(bounds.admit(at(0)).unwrap_err(), Held::Busy);
        drop(places);
        assert!(bounds.admit(at(0)).is_ok());
        assert_eq!(bounds.admit(at(0)).unwrap_err(), Held::Busy);
        assert!(bounds.admit(at(1)).is_ok());
    }

    #[test]
    fn an_issuer_that_fails_is_left_alone_for_longer_and_longer_up_to_a_minute() {
        let bounds = Bounds::new(8, 8);
        let seconds = |now| bounds.failed(at(now)).as_secs();
        assert_eq!([0; 4].map(seconds), [1; 4]);
        assert_eq!(seconds(0), 2);
        assert_eq!(bounds.admit(at(1)).unwrap_err(), Held::Resting(Duration::from_secs(1)));
        assert!(bounds.admit(at(2)).is_ok());
        assert_eq!([2, 6, 14, 30, 62].map(seconds), [4, 8, 16, 32, 60]);
        assert_eq!([70; 3].map(seconds), [52; 3]);
        bounds.succeeded();
        assert!(bounds.admit(at(70)).is_ok());
        assert_eq!(seconds(70), 1);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_prolong_a_rest() {
        let bounds = Bounds::new(8, 8);
        for _ in 0..5 {
            bounds.failed(at(1000));
        }
        assert!(bounds.admit(at(1001)).is_err());
        assert!(bounds.admit(at(0)).is_ok());
    }
}
