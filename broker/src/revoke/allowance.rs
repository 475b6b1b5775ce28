//! How many tokens one workload may give back: each is kept, told to all verifiers and asked about on every request.
//! Not here: what operators revoke, which is not limited.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use symbolon_identity::{Timestamp, WorkloadId};

const HOUR: u64 = 3600;
/// So many workloads are told apart; those beyond share one allowance.
const WORKLOADS: usize = 8192;

/// What each workload may still give back in this hour.
#[derive(Debug)]
pub(crate) struct Allowance {
    most: u32,
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    hour: u64,
    /// `None` are those who did not fit.
    by: HashMap<Option<WorkloadId>, u32>,
}

impl Allowance {
    /// So many tokens in each hour of the clock.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, given: Mutex::default() }
    }

    /// Whether this workload may give back one more; it counts from now on.
    pub(crate) fn take(&self, workload: &WorkloadId, now: Timestamp) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now.as_secs() / HOUR;
        if given.hour != hour {
            *given = Given { hour, by: HashMap::new() };
        }
        let own = Some(workload.clone());
        let who = if given.by.len() < WORKLOADS || given.by.contains_key(&own) { own } else { None };
        let count = given.by.entry(who).or_default();
        let may = *count < self.most;
        *count = count.saturating_add(u32::from(may));
        may
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
    fn the_table_does_not_grow_without_end() {
        let (allowance, now) = (Allowance::new(1), Timestamp::from_secs(7200).unwrap());
        let admitted = (0..9000).filter(|name| allowance.take(&workload(*name), now)).count();
        assert_eq!(admitted, WORKLOADS + 1);
        assert!(allowance.given.lock().unwrap().by.len() <= WORKLOADS + 1);
    }
}
