//! Which key a pod's evidence belongs to: a lease, so that a restarted container is not locked out (decision 0012).
//! Not here: whether the pod lives (`attest::kubernetes`), or SQL (`store`).

mod changes;
mod following;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_audit::{Event, Outcome, Record};
use symbolon_identity::{DecisionId, ProviderName, Timestamp, WorkloadId};
use symbolon_jws::{Thumbprint, sha256};
use symbolon_token::{Revocation, RevocationKind};

use crate::record::DecisionRecord;
use crate::revoke::Revocations;
use crate::store::{Entry, Ledger, NewRevocation, Store, Verdict};

pub(crate) use following::Following;

/// A pod that makes no token is forgotten after so long: its evidence has expired by then.
pub(crate) const SILENT: Duration = Duration::from_hours(24);

/// A key is its pod's for so long after it was proved, also if it got no token: as long as a token lives by default.
const LEASE: Duration = Duration::from_mins(5);

/// A pod, across all clusters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct PodName {
    /// The provider of its cluster.
    pub(crate) provider: ProviderName,
    /// Its uid.
    pub(crate) uid: String,
}

/// Which key a pod has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    /// The key.
    pub(crate) key: Thumbprint,
    /// When it was proved last.
    pub(crate) seen_at: Timestamp,
    /// When the last token that was issued to it ends.
    pub(crate) tokens_until: Timestamp,
    /// How often the pod changed its key.
    pub(crate) changes: u32,
}

impl Pin {
    /// Until when no other key is taken, unless the container was restarted.
    fn held_until(&self) -> Timestamp {
        self.tokens_until.max(self.seen_at.saturating_add(LEASE))
    }

    /// Whether the sidecar's container was started after the key was proved last.
    fn is_older_than(&self, started: Option<Timestamp>) -> bool {
        started.is_some_and(|started| started > self.seen_at)
    }

    /// Whether another key may take its place.
    pub(crate) fn may_change(&self, started: Option<Timestamp>, now: Timestamp) -> bool {
        self.is_older_than(started) || self.held_until() <= now
    }

    /// The revocation of what was issued to the key, if any of it is still good.
    pub(crate) fn outstanding(&self, now: Timestamp) -> Option<NewRevocation> {
        (self.tokens_until > now).then(|| NewRevocation {
            revocation: Revocation {
                kind: RevocationKind::Jkt,
                value: self.key.to_string(),
                revoked_before: now,
                until: self.tokens_until,
            },
            blocks_until: None,
        })
    }
}

/// A token that a pod got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodGrant {
    /// What was asked for: alike requests have one digest, and of those only the last is remembered.
    pub(crate) asked: [u8; 32],
    /// The decision that gave it.
    pub(crate) decision: DecisionId,
    /// When it ends.
    pub(crate) until: Timestamp,
}

impl PodGrant {
    /// What a decision gave; none if it gave nothing.
    pub(crate) fn of(record: &DecisionRecord) -> Option<Self> {
        let token = record.token.as_ref()?;
        let actions: Vec<_> = record.questions.iter().map(|question| &question.action).collect();
        let asked = serde_json::to_vec(&actions).unwrap_or_default();
        Some(Self { asked: sha256(&asked), decision: record.id.clone(), until: token.expires_at })
    }
}

/// Why the tokens of a pod are taken back.
#[derive(Debug, Clone)]
pub(crate) enum Because {
    /// It has ended.
    PodGone,
    /// It has changed, so that it would not get again what this decision gave it.
    PodChanged(DecisionId),
}

impl Because {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::PodGone => "pod_gone",
            Self::PodChanged(_) => "pod_changed",
        }
    }

    /// What the audit chain says of it.
    pub(crate) fn record(&self, pod: &PodName, revocation: &Revocation, now: Timestamp) -> Record {
        let record = Record::new(Event::RevocationChanged, now, Outcome::Success)
            .with_detail("kind", revocation.kind.as_str())
            .with_detail("value", revocation.value.as_str())
            .with_detail("until", revocation.until.to_string())
            .with_detail("provider", pod.provider.as_str())
            .with_detail("pod", pod.uid.as_str())
            .with_detail("because", self.as_str());
        match self {
            Self::PodGone => record,
            Self::PodChanged(decision) => record.with_detail("decision", decision.as_str()),
        }
    }
}

/// Another key takes the place of a pod's key.
#[derive(Debug, Clone)]
pub(crate) struct Repin {
    /// The pod.
    pub(crate) pod: PodName,
    /// The key that it had; if it has another one meanwhile, nothing changes.
    pub(crate) before: Thumbprint,
    /// The key that it gets.
    pub(crate) after: Thumbprint,
    /// When the container of the sidecar was started, as its node says.
    pub(crate) started: Option<Timestamp>,
    /// When.
    pub(crate) now: Timestamp,
}

impl Repin {
    /// When the key counts as proved.
    ///
    /// SECURITY: a node whose clock is ahead says that the container will start; noting that time lets one restart change
    /// the key once, and not back and forth until then.
    pub(crate) fn seen_at(&self) -> Timestamp {
        self.started.map_or(self.now, |started| started.max(self.now))
    }
}

/// Keeps pins.
#[derive(Debug)]
pub(crate) struct Pins {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ledger: Ledger,
    pub(crate) revocations: Arc<Revocations>,
}

/// Why a key is not taken for a pod.
#[derive(Debug)]
pub(crate) enum PinError {
    /// The pod has another key.
    OtherKey,
    /// It cannot be told.
    Unavailable(String),
}

impl Pins {
    /// Takes a key for a pod: the one that it has, or its first, or another one if the container of the sidecar was
    /// `started` after the last was seen, or if no token of the last is good any more. Returns whether the pod has
    /// changed its key.
    ///
    /// The caller puts a [`Use::Pin`](crate::store::Use::Pin) on record with the answer, which binds a first key.
    ///
    /// # Errors
    /// [`PinError`].
    pub(crate) async fn admit(
        &self,
        pod: &PodName,
        (key, started): (Thumbprint, Option<Timestamp>),
        workload: &WorkloadId,
        now: Timestamp,
    ) -> Result<bool, PinError> {
        let Some(pin) = self.store.pin(pod).await.map_err(|error| unavailable(&error))? else {
            return Ok(false);
        };
        if pin.key == key {
            return Ok(pin.changes > 0);
        }
        if !pin.may_change(started, now) {
            return Err(PinError::OtherKey);
        }
        let is_restarted = pin.is_older_than(started);
        let record = Record::new(Event::KeyRepinned, now, Outcome::Success)
            .with_detail("workload", workload.as_str())
            .with_detail("provider", pod.provider.as_str())
            .with_detail("pod", pod.uid.as_str())
            .with_detail("key_before", pin.key.to_string())
            .with_detail("key", key.to_string())
            .with_detail("because", if is_restarted { "container_restarted" } else { "lease_over" });
        let repin = Repin { pod: pod.clone(), before: pin.key, after: key, started, now };
        let entry = Entry::Repin { repin, record: Box::new(record) };
        match self.ledger.record(entry).await.map_err(|error| unavailable(&error))? {
            Verdict::Recorded => {}
            Verdict::Conflict(_) => return Err(PinError::OtherKey),
        }
        self.revocations.follow(&*self.store, now).await.map_err(|error| unavailable(&error))?;
        tracing::warn!(
            event.name = "key.repinned", %workload, provider = %pod.provider, pod = pod.uid, "a pod has another key"
        );
        Ok(true)
    }

    /// Revokes the tokens of a pod's own key that are still good, and of no other pod.
    pub(crate) async fn revoke(
        &self,
        pod: &PodName,
        because: Because,
        now: Timestamp,
    ) -> Result<(), PinError> {
        let Some(pin) = self.store.pin(pod).await.map_err(|error| unavailable(&error))? else {
            return Ok(());
        };
        if pin.outstanding(now).is_none() {
            return Ok(());
        }
        let reason = because.as_str();
        let entry = Entry::PodRevoked { pod: pod.clone(), because, now };
        self.ledger.record(entry).await.map_err(|error| unavailable(&error))?;
        self.revocations.follow(&*self.store, now).await.map_err(|error| unavailable(&error))?;
        tracing::info!(
            event.name = "pod.revoked", provider = %pod.provider, pod = pod.uid, because = reason,
            "the tokens of a pod are revoked"
        );
        Ok(())
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> PinError {
    PinError::Unavailable(crate::error_chain(error))
}

#[cfg(test)]
mod tests;
