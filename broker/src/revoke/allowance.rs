//! How many tokens one workload may give back: each is kept, told to all verifiers and asked about on every request.
//! And how many wrong ones it may have another issuer asked about. Not here: what operators do, which is not limited.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use symbolon_identity::{Timestamp, WorkloadId};

const HOUR: u64 = 3600;
const MINUTE: u64 = 60;
/// So many workloads are told apart; those beyond share one allowance.
const WORKLOADS: usize = 8192;

/// What each workload may still do in this hour, or this minute.
#[derive(Debug)]
pub(crate) struct Allowance {
    most: u32,
    period: u64,
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    /// The number of the period.
    number: u64,
    /// `None` are those who did not fit.
    by: HashMap<Option<WorkloadId>, u32>,
}

impl Allowance {
    /// So many in each hour of the clock.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, period: HOUR, given: Mutex::default() }
    }

    /// So many in each minute of the clock.
    pub(crate) fn per_minute(most: u32) -> Self {
        Self { period: MINUTE, ..Self::new(most) }
    }

    /// Whether this workload may do one more; it counts from now on.
    pub(crate) fn take(&self, workload: &WorkloadId, now: Timestamp) -> bool {
        let mut given = self.given(now);
        let who = given.who(workload);
        let count = given.by.entry(who).or_default();
        let may = *count < self.most;
        *count = count.saturating_add(u32::from(may));
        may
    }

    /// Whether this workload may do one more; nothing is counted.
    pub(crate) fn is_left(&self, workload: &WorkloadId, now: Timestamp) -> bool {
        let given = self.given(now);
        given.by.get(&given.who(workload)).is_none_or(|count| *count < self.most)
    }

    /// What was done in this period.
    fn given(&self, now: Timestamp) -> MutexGuard<'_, Given> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.as_secs().checked_div(self.period).unwrap_or_default();
        if given.number != number {
            *given = Given { number, by: HashMap::new() };
        }
        given
    }
}

/// A question that counts against an allowance, unless it turns out to have been a good one: also if whoever asks it
/// does not wait for the answer.
#[derive(Debug)]
pub(crate) struct Guess<'a> {
    allowance: &'a Allowance,
    workload: &'a WorkloadId,
    now: Timestamp,
    counts: bool,
}

impl<'a> Guess<'a> {
    /// A guess of this workload; none if it has none left.
    pub(crate) fn begin(allowance: &'a Allowance, workload: &'a WorkloadId, now: Timestamp) -> Option<Self> {
        allowance.is_left(workload, now).then_some(Self { allowance, workload, now, counts: true })
    }

    /// It was none.
    pub(crate) fn forgive(mut self) {
        self.counts = false;
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        if self.counts {
            self.allowance.take(self.workload, self.now);
        }
    }
}

impl Given {
    fn who(&self, workload: &WorkloadId) -> Option<WorkloadId> {
        let own = Some(workload.clone());
        if self.by.len() < WORKLOADS || self.by.contains_key(&own) { own } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(name: u32) -> WorkloadId {
        WorkloadId::parse(&format!("spiffe://test.example/{name}")).unwrap()
    }

    #[test]
    fn each_workload_has_its_own_allowance_anew_each_hour() {
        let (allowance, now) = (Allowance::new(2), Timestamp::from_secs(7200).unwrap());
        let takes = |name, now| allowance.take(&workload(name), now);
        assert_eq!([takes(1, now), takes(1, now), takes(1, now), takes(2, now)], [true, true, false, true]);
        assert!(takes(1, Timestamp::from_secs(10_800).unwrap()));
    }

    #[test]
    fn asking_what_is_left_takes_nothing() {
        let (allowance, now) = (Allowance::per_minute(1), Timestamp::from_secs(7200).unwrap());
        assert!(allowance.is_left(&workload(1), now) && allowance.is_left(&workload(1), now));
        assert!(allowance.take(&workload(1), now) && !allowance.is_left(&workload(1), now));
        assert!(allowance.is_left(&workload(1), Timestamp::from_secs(7260).unwrap()));
    }

    #[test]
    fn the_table_does_not_grow_without_end() {
        let (allowance, now) = (Allowance::new(1), Timestamp::from_secs(7200).unwrap());
        let admitted = (0..9000).filter(|name| allowance.take(&workload(*name), now)).count();
        assert_eq!(admitted, WORKLOADS + 1);
        assert!(allowance.given.lock().unwrap().by.len() <= WORKLOADS + 1);
    }
}
