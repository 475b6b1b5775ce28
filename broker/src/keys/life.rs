//! The life of one signing key, by its times alone.
//! Not here: its numbers, or when it should change (`keys::schedule`).

use symbolon_audit::{Event, Outcome, Record};
use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, Thumbprint};

/// What has happened to a key so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyLife {
    /// Its thumbprint, which is its `kid`.
    pub(crate) id: Thumbprint,
    /// What it signs with.
    pub(crate) algorithm: Algorithm,
    /// Since when verifiers can fetch it.
    pub(crate) published_at: Timestamp,
    /// When it began to sign.
    pub(crate) activated_at: Option<Timestamp>,
    /// When it ceased to sign, or was withdrawn before it ever did.
    pub(crate) retired_at: Option<Timestamp>,
    /// The latest `exp` among the tokens that it signed.
    pub(crate) tokens_until: Option<Timestamp>,
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Verifiers can fetch it; it does not sign yet.
    Published,
    /// It signs.
    Active,
    /// It signs no more; verifiers can still fetch it.
    Retired,
}

/// Changes to the ring that belong together: one transaction, with the audit record of each.
#[derive(Debug, Clone)]
pub(crate) struct KeyTurn {
    /// The changes, in their order.
    pub(crate) changes: Vec<KeyChange>,
    /// When.
    pub(crate) at: Timestamp,
    /// The user who asked for it; none if the schedule did.
    pub(crate) asked_by: Option<u32>,
}

/// One change to the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyChange {
    /// A key joins, published or active.
    Add {
        /// The key.
        key: KeyLife,
        /// Its private JWK as a compact JWE.
        sealed: String,
    },
    /// A published key begins to sign.
    Activate {
        /// The key.
        id: Thumbprint,
        /// When.
        at: Timestamp,
    },
    /// A key ceases to sign, or never will.
    Retire {
        /// The key.
        id: Thumbprint,
        /// When.
        at: Timestamp,
    },
    /// A retired key is forgotten.
    ///
    /// It is named as it was when that was decided; if it has signed longer-lived tokens since, it stays.
    Remove(KeyLife),
    /// A key is forgotten in whatever phase, and known as revoked.
    Revoke(RevokedKey),
}

/// A key that must not be trusted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RevokedKey {
    /// Its `kid`.
    pub(crate) id: Thumbprint,
    /// When it was revoked.
    pub(crate) revoked_at: Timestamp,
    /// Until when verifiers have to be told.
    pub(crate) until: Timestamp,
}

impl KeyLife {
    /// A key that is published from now on.
    pub(crate) fn published(id: Thumbprint, algorithm: Algorithm, now: Timestamp) -> Self {
        Self { id, algorithm, published_at: now, activated_at: None, retired_at: None, tokens_until: None }
    }

    /// A key that is published and signs from now on.
    pub(crate) fn active(id: Thumbprint, algorithm: Algorithm, now: Timestamp) -> Self {
        Self { activated_at: Some(now), ..Self::published(id, algorithm, now) }
    }

    /// Where it stands.
    pub(crate) fn phase(&self) -> Phase {
        match (self.activated_at, self.retired_at) {
            (_, Some(_)) => Phase::Retired,
            (Some(_), None) => Phase::Active,
            (None, None) => Phase::Published,
        }
    }
}

impl Phase {
    /// The word for people and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl KeyTurn {
    /// What goes on record together with the changes.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.changes.iter().map(|change| {
            let record = Record::new(change.event(), self.at, Outcome::Success)
                .with_detail("key", change.key().to_string());
            let record = match change {
                KeyChange::Add { key, .. } => record.with_detail("algorithm", key.algorithm.as_str()),
                KeyChange::Activate { .. }
                | KeyChange::Retire { .. }
                | KeyChange::Remove(_)
                | KeyChange::Revoke(_) => record,
            };
            match self.asked_by {
                Some(uid) => record.with_detail("uid", uid),
                None => record,
            }
        })
    }
}

impl KeyChange {
    /// The key that it is about.
    pub(crate) fn key(&self) -> Thumbprint {
        match self {
            Self::Add { key, .. } | Self::Remove(key) => key.id,
            Self::Activate { id, .. } | Self::Retire { id, .. } => *id,
            Self::Revoke(revoked) => revoked.id,
        }
    }

    /// What the record calls it.
    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Add { key, .. } if key.activated_at.is_some() => Event::KeyActivated,
            Self::Add { .. } => Event::KeyPublished,
            Self::Activate { .. } => Event::KeyActivated,
            Self::Retire { .. } => Event::KeyRetired,
            Self::Remove(_) => Event::KeyRemoved,
            Self::Revoke(_) => Event::KeyRevoked,
        }
    }

    /// The word for people and metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Add { key, .. } if key.activated_at.is_some() => "activated",
            Self::Add { .. } => "published",
            Self::Activate { .. } => "activated",
            Self::Retire { .. } => "retired",
            Self::Remove(_) => "removed",
            Self::Revoke(_) => "revoked",
        }
    }

    /// Makes the change to the keys in memory.
    pub(crate) fn apply(&self, keys: &mut Vec<KeyLife>) {
        match self {
            Self::Add { key, .. } => keys.push(*key),
            Self::Activate { id, at } => update(keys, *id, |key| key.activated_at = Some(*at)),
            Self::Retire { id, at } => update(keys, *id, |key| key.retired_at = Some(*at)),
            Self::Remove(KeyLife { id, .. }) | Self::Revoke(RevokedKey { id, .. }) => {
                keys.retain(|key| key.id != *id);
            }
        }
    }
}

fn update(keys: &mut [KeyLife], id: Thumbprint, change: impl Fn(&mut KeyLife)) {
    keys.iter_mut().filter(|key| key.id == id).for_each(change);
}
