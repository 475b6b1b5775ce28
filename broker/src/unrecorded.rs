//! The latest refusals that are on no record, so that an operator can ask for the id that a caller shows: those of
//! strangers, and those that a caller gets again and again.
//! Not the audit trail: this is memory, bounded, and gone with the process.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use symbolon_identity::{DecisionId, ReasonCode, Timestamp};

use crate::record::DecisionRecord;
use crate::refusal::{Refusal, StageName};
use crate::routes::error::face;

/// How many are kept of each kind.
const KEPT: usize = 1024;
/// So much of a detail is kept; some of it a stranger has chosen.
const MAX_DETAIL: usize = 300;

/// What is remembered. Strangers and attested callers are kept apart, so that strangers cannot push the others out.
#[derive(Debug, Default)]
pub(crate) struct Unrecorded {
    strangers: Mutex<VecDeque<Stranger>>,
    callers: Mutex<VecDeque<DecisionRecord>>,
}

/// The refusal of somebody who was not attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stranger {
    /// Its id.
    pub(crate) id: DecisionId,
    /// When.
    pub(crate) time: Timestamp,
    /// Where it came from; none on a Unix socket.
    pub(crate) source: Option<IpAddr>,
    /// Where it ended.
    pub(crate) stage: StageName,
    /// Why.
    pub(crate) reason: ReasonCode,
    /// The same in a sentence for operators.
    pub(crate) detail: String,
}

/// Either kind.
#[derive(Debug)]
pub(crate) enum Remembered {
    /// Of somebody who was not attested.
    Stranger(Stranger),
    /// Of an attested caller.
    Caller(Box<DecisionRecord>),
}

impl Stranger {
    /// What there is to say about a refusal.
    pub(crate) fn new(id: DecisionId, source: Option<IpAddr>, refusal: &Refusal, now: Timestamp) -> Self {
        let detail = crate::error_chain(refusal).chars().take(MAX_DETAIL).collect();
        // What a form says of subjects and targets is read before anybody is attested.
        let stage = match refusal.stage() {
            StageName::Subject
            | StageName::Actor
            | StageName::Target
            | StageName::Policy
            | StageName::Token => StageName::Received,
            stage @ (StageName::Received | StageName::Evidence | StageName::Caller) => stage,
        };
        Self { id, time: now, source, stage, reason: face(refusal).reason, detail }
    }
}

impl Unrecorded {
    /// Remembers the refusal of a stranger, in place of the oldest one if need be.
    pub(crate) fn keep_stranger(&self, stranger: Stranger) {
        keep(&self.strangers, stranger);
    }

    /// Remembers the refusal of an attested caller that is not put on record.
    pub(crate) fn keep_caller(&self, record: DecisionRecord) {
        keep(&self.callers, record);
    }

    /// The refusal with this id, if it is still known.
    pub(crate) fn find(&self, id: &DecisionId) -> Option<Remembered> {
        let caller = lock(&self.callers).iter().rev().find(|record| record.id == *id).cloned();
        let stranger = || lock(&self.strangers).iter().rev().find(|stranger| stranger.id == *id).cloned();
        caller
            .map(|record| Remembered::Caller(Box::new(record)))
            .or_else(|| stranger().map(Remembered::Stranger))
    }
}

fn keep<T>(kept: &Mutex<VecDeque<T>>, one: T) {
    let mut kept = lock(kept);
    if kept.len() >= KEPT {
        kept.pop_front();
    }
    kept.push_back(one);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use symbolon_identity::Origin;

    use super::*;

    fn stranger(number: u8) -> Stranger {
        let id = DecisionId::new(Origin::Broker, Timestamp::from_secs(1_800_000_000).unwrap(), [number; 10]);
        Stranger::new(id, None, &Refusal::EvidenceMissing, Timestamp::from_secs(1_800_000_000).unwrap())
    }

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let unrecorded = Unrecorded::default();
        unrecorded.keep_stranger(stranger(1));
        let first = stranger(1).id;
        assert!(matches!(unrecorded.find(&first), Some(Remembered::Stranger(found)) if found == stranger(1)));
        for _ in 0..KEPT {
            unrecorded.keep_stranger(stranger(2));
        }
        assert!(unrecorded.find(&first).is_none());
        assert!(unrecorded.find(&stranger(2).id).is_some());
        assert_eq!(lock(&unrecorded.strangers).len(), KEPT);
    }
}
