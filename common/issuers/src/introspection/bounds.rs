//! How much of an issuer our questions may take, whatever callers send, and a rest when it fails.
//! Not here: how many wrong tokens one caller may ask about; that is its program's business.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_identity::{IssuerName, Timestamp, WorkloadId};

use super::IntrospectionError;

/// So many failures in a row, and the issuer is left alone for a while.
const PATIENCE: u32 = 5;
const SHORTEST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_mins(1);
/// When it is worth trying again after something that may have been a moment's.
pub(super) const SOON: Duration = Duration::from_secs(1);
/// One workload may take one in so many of the questions: what it asks must not keep the others from asking.
const SHARE: u32 = 2;
/// The failures of so many workloads are told apart; those of others only count for all.
const FAILING: usize = 1024;

/// The bounds of one issuer.
#[derive(Debug)]
pub(super) struct Bounds {
    concurrent: u32,
    per_second: u32,
    history: Mutex<History>,
}

/// A question that is under way; its place is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    bounds: &'a Bounds,
    asker: &'a WorkloadId,
}

#[derive(Debug, Default)]
struct History {
    under_way: Count,
    second: u64,
    asked: Count,
    /// Of all workloads.
    failures: Failures,
    failures_of: HashMap<WorkloadId, Failures>,
}

/// How many, and of whom.
#[derive(Debug, Default)]
struct Count {
    all: u32,
    of: HashMap<WorkloadId, u32>,
}

/// Failures since the last answer.
#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
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
        Self { concurrent, per_second, history: Mutex::default() }
    }

    /// A place for one question. Nobody waits for one: callers come back.
    pub(super) fn admit<'a>(&'a self, asker: &'a WorkloadId, now: Timestamp) -> Result<Place<'a>, Held> {
        let mut history = self.history();
        if let Some(left) = history.rest_left(asker, now) {
            return Err(Held::Resting(left));
        }
        if history.second != now.as_secs() {
            (history.second, history.asked) = (now.as_secs(), Count::default());
        }
        if !history.asked.has_room(asker, self.per_second)
            || !history.under_way.has_room(asker, self.concurrent)
        {
            return Err(Held::Busy);
        }
        history.asked.add(asker);
        history.under_way.add(asker);
        Ok(Place { bounds: self, asker })
    }

    /// The issuer answered.
    pub(super) fn succeeded(&self) {
        let mut history = self.history();
        history.failures = Failures::default();
        history.failures_of.clear();
    }

    /// The issuer did not answer this workload, or nothing that can be used; returns when it is worth trying again.
    ///
    /// SECURITY: the first failures of a workload count for all workloads, the others for itself alone. Who can make the issuer
    /// fail, with a token that it cannot take, must not keep the others from asking; when it is down, others fail too.
    pub(super) fn failed(&self, asker: &WorkloadId, now: Timestamp) -> Duration {
        let mut history = self.history();
        // Those that were under way when the rest began say nothing new.
        if let Some(left) = history.rest_left(asker, now) {
            return left;
        }
        let is_told_apart = history.failures_of.len() < FAILING || history.failures_of.contains_key(asker);
        let of_one = is_told_apart.then(|| history.failures_of.entry(asker.clone()).or_default());
        let (own, counts_for_all) = of_one.map_or((SOON, true), |own| {
            let rest = own.add(now);
            (rest, own.in_a_row < PATIENCE)
        });
        if counts_for_all { own.max(history.failures.add(now)) } else { own }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.bounds.history().under_way.remove(self.asker);
    }
}

impl History {
    /// How long the issuer is still left alone by this workload, or by all.
    fn rest_left(&self, asker: &WorkloadId, now: Timestamp) -> Option<Duration> {
        let own = self.failures_of.get(asker).and_then(|own| own.rest_left(now));
        own.max(self.failures.rest_left(now))
    }
}

impl Count {
    fn has_room(&self, asker: &WorkloadId, most: u32) -> bool {
        let of_one = self.of.get(asker).copied().unwrap_or_default();
        self.all < most && of_one < most.div_ceil(SHARE)
    }

    fn add(&mut self, asker: &WorkloadId) {
        self.all = self.all.saturating_add(1);
        let of_one = self.of.entry(asker.clone()).or_default();
        *of_one = of_one.saturating_add(1);
    }

    fn remove(&mut self, asker: &WorkloadId) {
        self.all = self.all.saturating_sub(1);
        match self.of.get_mut(asker) {
            Some(of_one) if *of_one > 1 => *of_one = of_one.saturating_sub(1),
            _ => {
                self.of.remove(asker);
            }
        }
    }
}

impl Failures {
    /// Counts one more, and says when it is worth trying again.
    fn add(&mut self, now: Timestamp) -> Duration {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let Some(beyond) = self.in_a_row.checked_sub(PATIENCE) else { return SOON };
        let factor = 1_u32.checked_shl(beyond).unwrap_or(u32::MAX);
        let rest = SHORTEST_REST.saturating_mul(factor).min(LONGEST_REST);
        self.rest = Some(Rest { from: now, until: now.saturating_add(rest) });
        rest
    }

    /// How long the rest still is. A clock that was put back to before it must not make it longer.
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

    fn workload(number: u32) -> WorkloadId {
        WorkloadId::parse(&format!("spiffe://example.com/{number}")).unwrap()
    }

    #[test]
    fn only_so_many_questions_are_asked_at_once_and_in_a_second() {
        let (bounds, [a, b, c]) = (Bounds::new(2, 3), [1, 2, 3].map(workload));
        let places = (bounds.admit(&a, at(0)).unwrap(), bounds.admit(&b, at(0)).unwrap());
        assert_eq!(bounds.admit(&c, at(0)).unwrap_err(), Held::Busy);
        drop(places);
        assert!(bounds.admit(&c, at(0)).is_ok());
        assert_eq!(bounds.admit(&workload(4), at(0)).unwrap_err(), Held::Busy);
        assert!(bounds.admit(&c, at(1)).is_ok());
        assert!(bounds.history().under_way.of.is_empty());
    }

    #[test]
    fn one_workload_has_half_of_the_questions_at_most() {
        let (bounds, [a, b]) = (Bounds::new(4, 8), [1, 2].map(workload));
        let held = [bounds.admit(&a, at(0)).unwrap(), bounds.admit(&a, at(0)).unwrap()];
        assert_eq!(bounds.admit(&a, at(0)).unwrap_err(), Held::Busy);
        assert!(bounds.admit(&b, at(0)).is_ok(), "another one is not kept waiting");
        drop(held);
        for _ in 0..2 {
            assert!(bounds.admit(&a, at(0)).is_ok());
        }
        assert_eq!(bounds.admit(&a, at(0)).unwrap_err(), Held::Busy, "four in this second");
        assert!((0..3).all(|_| bounds.admit(&b, at(0)).is_ok()));
        assert!(bounds.admit(&a, at(1)).is_ok());
    }

    #[test]
    fn an_issuer_that_fails_is_left_alone_for_longer_and_longer_up_to_a_minute() {
        let (bounds, a) = (Bounds::new(8, 8), workload(1));
        let seconds = |now| bounds.failed(&a, at(now)).as_secs();
        assert_eq!([0; 4].map(seconds), [1; 4]);
        assert_eq!(seconds(0), 2);
        assert_eq!(bounds.admit(&a, at(1)).unwrap_err(), Held::Resting(Duration::from_secs(1)));
        assert!(bounds.admit(&a, at(2)).is_ok());
        assert_eq!([2, 6, 14, 30, 62].map(seconds), [4, 8, 16, 32, 60]);
        assert_eq!([70; 3].map(seconds), [52; 3]);
        bounds.succeeded();
        assert!(bounds.admit(&a, at(70)).is_ok());
        assert_eq!(seconds(70), 1);
    }

    #[test]
    fn an_issuer_that_fails_for_one_workload_rests_for_no_other_and_one_that_is_down_for_all() {
        let (bounds, [a, b, c]) = (Bounds::new(8, 8), [1, 2, 3].map(workload));
        for second in 0..100 {
            bounds.failed(&a, at(second));
        }
        assert!(matches!(bounds.admit(&a, at(100)), Err(Held::Resting(_))));
        assert!(bounds.admit(&b, at(100)).is_ok());
        bounds.failed(&b, at(100));
        assert!(matches!(bounds.admit(&c, at(100)), Err(Held::Resting(_))));
        assert!(bounds.admit(&c, at(102)).is_ok());
        // Those that nobody tells apart count for all.
        for number in 0..2000 {
            bounds.failed(&workload(number), at(1000 + 60 * u64::from(number)));
        }
        assert!(bounds.history().failures_of.len() <= FAILING);
        assert!(matches!(bounds.admit(&workload(5000), at(1000 + 60 * 1999)), Err(Held::Resting(_))));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_prolong_a_rest() {
        let (bounds, a) = (Bounds::new(8, 8), workload(1));
        for _ in 0..5 {
            bounds.failed(&a, at(1000));
        }
        assert!(bounds.admit(&a, at(1001)).is_err());
        assert!(bounds.admit(&a, at(0)).is_ok());
    }
}
