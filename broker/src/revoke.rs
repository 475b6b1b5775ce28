//! What was taken back: kept in the store, held in memory for each decision, told to verifiers by the feed.
//! Not here: which tokens a revocation hits (`symbolon-token`), or who may revoke (`routes`).

mod allowance;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use symbolon_identity::Timestamp;
use symbolon_token::{Revocation, RevocationKind, RevocationSet, VerifiedToken};
use tokio::sync::watch;

use crate::inquiry::Caller;
use crate::refusal::Refusal;
use crate::store::{Store, StoreError};
use crate::subject::VerifiedSubject;

pub(crate) use allowance::{Allowance, Guess};

/// What is over stays in the feed for so long, so that verifiers also hear of what was lifted.
pub(crate) const REMEMBERED: Duration = Duration::from_hours(1);

/// What a caller can be blocked as.
const OF_CALLER: [RevocationKind; 3] =
    [RevocationKind::Workload, RevocationKind::Client, RevocationKind::Subject];

/// A revocation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Its place in the feed; it grows.
    pub(crate) sequence: u64,
    /// What was revoked.
    pub(crate) revocation: Revocation,
    /// Until when nothing is issued to it either, if at all.
    pub(crate) blocks_until: Option<Timestamp>,
}

/// The revocations that count. Readers never wait for the store.
#[derive(Debug)]
pub(crate) struct Revocations {
    current: RwLock<Arc<Current>>,
    /// Held while the next `current` is made, which readers do not wait for.
    making: Mutex<()>,
    /// The last sequence, for those who wait for the next.
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Current {
    set: RevocationSet,
    blocked: RevocationSet,
    standing: Vec<Standing>,
}

impl Revocations {
    /// The revocations in the store.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read: a broker that does not know what was revoked must not start.
    pub(crate) async fn open(store: &dyn Store, now: Timestamp) -> Result<Self, StoreError> {
        let last = store.last_revocation().await?;
        let revocations =
            Self { current: RwLock::default(), making: Mutex::default(), last: watch::Sender::new(last) };
        revocations.take(&store.revocations_after(0).await?, now);
        Ok(revocations)
    }

    /// Takes over what is in the store and not here yet; to be called after each commit of one.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub(crate) async fn follow(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let known = *self.last.borrow();
        self.take(&store.revocations_after(known).await?, now);
        Ok(())
    }

    /// Whether a token of ours is revoked.
    pub(crate) fn hit(&self, token: &VerifiedToken, now: Timestamp) -> bool {
        self.current().set.hits(token, now)
    }

    /// Whether this caller may have tokens at all.
    ///
    /// # Errors
    /// [`Refusal::CallerRevoked`] if it, its client or its key is blocked.
    pub(crate) fn admit_caller(&self, caller: &Caller, now: Timestamp) -> Result<(), Refusal> {
        let current = self.current();
        if current.blocked.is_empty() {
            return Ok(());
        }
        let blocked = |kind, name: &str| current.blocked.stands(kind, name, now);
        let workload = caller.attested.workload().as_str();
        let key = caller.key.as_ref().map(|key| key.thumbprint().to_string());
        let of_caller = OF_CALLER.into_iter().any(|kind| blocked(kind, workload));
        if of_caller || key.is_some_and(|key| blocked(RevocationKind::Jkt, &key)) {
            return Err(Refusal::CallerRevoked);
        }
        Ok(())
    }

    /// Whether anybody may have tokens for this subject.
    ///
    /// # Errors
    /// [`Refusal::SubjectRevoked`] if it is blocked.
    pub(crate) fn admit_subject(&self, subject: &VerifiedSubject, now: Timestamp) -> Result<(), Refusal> {
        let current = self.current();
        let name = subject.as_claim().as_str();
        let blocked = [RevocationKind::Subject, RevocationKind::Workload]
            .into_iter()
            .any(|kind| current.blocked.stands(kind, name, now));
        // A token of another issuer is known to us by its lineage only.
        let is_revoked = subject.passed_on().is_some_and(|passed_on| {
            current.set.stands(RevocationKind::Lineage, passed_on.lineage.as_str(), now)
        });
        if blocked || is_revoked { Err(Refusal::SubjectRevoked) } else { Ok(()) }
    }

    /// At most `limit` revocations after this place in the feed, and whether there are more.
    pub(crate) fn after(&self, sequence: u64, limit: usize) -> (Vec<Standing>, bool) {
        let current = self.current();
        let mut later = current.standing.iter().filter(|standing| standing.sequence > sequence);
        let page: Vec<Standing> = later.by_ref().take(limit).cloned().collect();
        (page, later.next().is_some())
    }

    /// Everything that counts, for operators.
    pub(crate) fn all(&self) -> Vec<Standing> {
        self.current().standing.clone()
    }

    /// The last place in the feed.
    pub(crate) fn last(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Forgets what is over.
    pub(crate) fn prune(&self, now: Timestamp) {
        self.replace(now, &[]);
    }

    fn take(&self, more: &[Standing], now: Timestamp) {
        let Some(last) = more.last().map(|standing| standing.sequence) else { return };
        self.replace(now, more);
        self.last.send_if_modified(|known| {
            let is_later = last > *known;
            *known = last.max(*known);
            is_later
        });
    }

    fn replace(&self, now: Timestamp, more: &[Standing]) {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current();
        let mut all: HashMap<(RevocationKind, &str), &Standing> = HashMap::new();
        // Of two of one thing the later one counts, in whatever order two takers bring them.
        for each in before.standing.iter().chain(more) {
            let known = all.entry((each.revocation.kind, &each.revocation.value)).or_insert(each);
            if each.sequence > known.sequence {
                *known = each;
            }
        }
        let stands = |standing: &&Standing| standing.revocation.until.saturating_add(REMEMBERED) > now;
        let mut standing: Vec<Standing> = all.into_values().filter(stands).cloned().collect();
        standing.sort_by_key(|standing| standing.sequence);
        let next = Arc::new(Current::of(standing));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Standing {
    /// Whether it counts now.
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        self.revocation.until > now
    }
}

impl Current {
    fn of(standing: Vec<Standing>) -> Self {
        let mut current = Self::default();
        for each in &standing {
            current.set.add(each.revocation.clone());
            if let Some(until) = each.blocks_until {
                current.blocked.add(Revocation { until, ..each.revocation.clone() });
            }
        }
        Self { standing, ..current }
    }
}

#[cfg(test)]
mod tests;
