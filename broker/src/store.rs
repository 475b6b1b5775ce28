//! What the broker has to remember: used evidence, key bindings, decisions, the audit chain, sealed keys.
//! Not here: deciding anything. The store says whether something was used before, and keeps what it is told.

mod ledger;
mod schema;
mod sqlite;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use symbolon_identity::{DecisionId, ProviderName, ReasonCode, Timestamp};
use symbolon_jws::Thumbprint;
use symbolon_token::Revocation;

use crate::keys::{KeyLife, KeyTurn, RevokedKey};
use crate::pins::{Because, Pin as Pinned, PodGrant, PodName, Repin};
use crate::record::DecisionRecord;
use crate::revoke::Standing;

pub(crate) use ledger::{Ledger, LedgerError, LedgerMetrics};
pub(crate) use sqlite::SqliteStore;

/// The answer of a store, boxed so that stores can be chosen at start-up.
pub(crate) type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A durable store.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// Puts a batch on record in one transaction, each entry with what it uses up.
    ///
    /// Returns one verdict an entry, in order. After an error nothing of the batch is on record.
    fn commit(&self, batch: Vec<Entry>) -> StoreFuture<'_, Vec<Verdict>>;

    /// A decision by its id.
    fn decision<'a>(&'a self, id: &'a DecisionId) -> StoreFuture<'a, Option<DecisionRecord>>;

    /// The latest decisions, newest first by the second.
    fn recent_decisions(&self, limit: u32) -> StoreFuture<'_, Vec<DecisionRecord>>;

    /// All signing keys, oldest first.
    fn keys(&self) -> StoreFuture<'_, Vec<StoredKey>>;

    /// The signing keys that verifiers have to be told not to trust, oldest first.
    fn revoked_kids(&self, now: Timestamp) -> StoreFuture<'_, Vec<RevokedKey>>;

    /// The last place in the feed that was ever taken.
    fn last_revocation(&self) -> StoreFuture<'_, u64>;

    /// All revocations after this place in the feed, in their order.
    fn revocations_after(&self, sequence: u64) -> StoreFuture<'_, Vec<Standing>>;

    /// The key that a pod has; none if it was not seen yet.
    fn pin<'a>(&'a self, pod: &'a PodName) -> StoreFuture<'a, Option<Pinned>>;

    /// The pods of a provider whose key has tokens that are still good, by their uids.
    fn pinned<'a>(&'a self, provider: &'a ProviderName, now: Timestamp) -> StoreFuture<'a, Vec<String>>;

    /// The pods of a provider that have tokens which are still good, by their uids.
    fn pods_with_tokens<'a>(
        &'a self,
        provider: &'a ProviderName,
        now: Timestamp,
    ) -> StoreFuture<'a, Vec<String>>;

    /// A page of the decisions that gave a pod the tokens which it still has, of alike ones the last; empty after the last.
    fn granted<'a>(
        &'a self,
        pod: &'a PodName,
        now: Timestamp,
        page: u32,
    ) -> StoreFuture<'a, Vec<DecisionRecord>>;

    /// Tries whether something can be put on record.
    fn probe(&self) -> StoreFuture<'_, ()>;

    /// Forgets what expired before `now` and decisions older than `decisions_before`; returns how many rows.
    fn prune(&self, now: Timestamp, decisions_before: Timestamp) -> StoreFuture<'_, u64>;
}

/// One thing to put on record.
#[derive(Debug)]
pub(crate) enum Entry {
    /// An answer, with everything that has to be on record before it is given.
    Decision {
        /// What the answer uses up; if something was used before, the answer becomes a refusal.
        uses: Vec<Use>,
        /// The decision.
        record: Box<DecisionRecord>,
    },
    /// A decision like many before it: on record only as far as `keep` says, but using up all the same.
    Repeated {
        /// As for [`Entry::Decision`].
        uses: Vec<Use>,
        /// The decision.
        record: Box<DecisionRecord>,
        /// What of it is put on record.
        keep: Keep,
    },
    /// Something that happened, for the audit chain alone.
    Event(Box<symbolon_audit::Record>),
    /// An answer that is no decision on a token, with what it uses up.
    Uses(Vec<Use>),
    /// Something that is taken back.
    Revocation {
        /// What the answer uses up; if something was used before, nothing is revoked.
        uses: Vec<Use>,
        /// What is revoked.
        revocations: Vec<NewRevocation>,
        /// What the audit chain says of it.
        record: Box<symbolon_audit::Record>,
    },
    /// Another key takes the place of a pod's key.
    Repin {
        /// The change; what the key has that makes room is taken back with it.
        repin: Repin,
        /// What the audit chain says of it.
        record: Box<symbolon_audit::Record>,
    },
    /// A pod has ended, or is no longer what it was: what was issued to its key is taken back, once.
    PodRevoked {
        /// The pod.
        pod: PodName,
        /// Why.
        because: Because,
        /// When.
        now: Timestamp,
    },
    /// Several things that happened, all of them or none.
    Events(Vec<symbolon_audit::Record>),
    /// Changes to the signing keys, with the record of each. If one cannot be made, none is, and the batch fails.
    Keys(KeyTurn),
}

/// A revocation that has no place in the feed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewRevocation {
    /// What is revoked.
    pub(crate) revocation: Revocation,
    /// Until when nothing is issued to it either, if at all.
    pub(crate) blocks_until: Option<Timestamp>,
}

impl Entry {
    /// What it uses up.
    pub(crate) fn uses(&self) -> &[Use] {
        match self {
            Self::Decision { uses, .. }
            | Self::Repeated { uses, .. }
            | Self::Uses(uses)
            | Self::Revocation { uses, .. } => uses,
            Self::Event(_)
            | Self::Events(_)
            | Self::Repin { .. }
            | Self::PodRevoked { .. }
            | Self::Keys(_) => &[],
        }
    }

    /// Whether it changes what pods have by itself, and not by what it uses up.
    pub(crate) fn changes_pods(&self) -> bool {
        matches!(self, Self::Repin { .. } | Self::PodRevoked { .. })
    }

    /// The key that signed the token of this entry, and the token's `exp`.
    pub(crate) fn signed_by(&self) -> Option<(Thumbprint, Timestamp)> {
        match self {
            Self::Decision { record, .. } | Self::Repeated { record, .. } => {
                record.token.as_ref().and_then(|token| Some((token.key?, token.expires_at)))
            }
            Self::Event(_)
            | Self::Events(_)
            | Self::Uses(_)
            | Self::Revocation { .. }
            | Self::Repin { .. }
            | Self::PodRevoked { .. }
            | Self::Keys(_) => None,
        }
    }
}

/// What of a decision is put on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep {
    /// The decision, if nothing that it uses was used before.
    pub(crate) as_meant: bool,
    /// The refusal that it becomes otherwise.
    pub(crate) as_conflict: bool,
}

impl Keep {
    /// All of it.
    pub(crate) const ALL: Self = Self { as_meant: true, as_conflict: true };
}

/// Something that an answer uses up or relies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Use {
    /// One-shot evidence, consumed by its first presentation.
    Evidence {
        /// A digest that names the evidence, whatever its signature bytes.
        digest: [u8; 32],
        /// When it can no longer be presented.
        expires_at: Timestamp,
    },
    /// A proof of possession, good for one request.
    Proof {
        /// The proof's replay id.
        digest: [u8; 32],
        /// When it can no longer be presented.
        expires_at: Timestamp,
    },
    /// Reusable evidence that belongs to the key that presented it first.
    Binding {
        /// A digest that names the evidence, whatever its signature bytes.
        digest: [u8; 32],
        /// The key; none if the provider takes the evidence without a proof.
        key: Option<Thumbprint>,
        /// When it can no longer be presented.
        expires_at: Timestamp,
    },
    /// The key of a pod: its first, or the one that it has.
    Pin {
        /// The pod.
        pod: PodName,
        /// The key.
        key: Thumbprint,
        /// When it was proved.
        seen_at: Timestamp,
        /// The token that it gets; the store takes it from the record of the decision.
        grant: Option<PodGrant>,
    },
}

/// Whether an entry was recorded as it was meant, or as a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it was meant.
    Recorded,
    /// As a refusal, because of this.
    Conflict(Conflict),
}

/// Why an entry could not be recorded as it was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// One-shot evidence came a second time.
    EvidenceReplayed,
    /// A proof came a second time.
    ProofReplayed,
    /// Evidence came with another key than the first time, or with none.
    EvidenceKeyMismatch,
    /// The key that signed the token was revoked meanwhile.
    SigningKeyGone,
}

impl Conflict {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::EvidenceReplayed, Self::ProofReplayed, Self::EvidenceKeyMismatch, Self::SigningKeyGone];

    /// The stable code.
    pub(crate) fn reason(self) -> ReasonCode {
        match self {
            Self::EvidenceReplayed => ReasonCode::EvidenceReplayed,
            Self::ProofReplayed => ReasonCode::ProofReplayed,
            Self::EvidenceKeyMismatch => ReasonCode::EvidenceKeyMismatch,
            Self::SigningKeyGone => ReasonCode::TokenUnavailable,
        }
    }
}

/// A signing key as it is kept: sealed.
#[derive(Debug, Clone)]
pub(crate) struct StoredKey {
    /// What has happened to it.
    pub(crate) life: KeyLife,
    /// Its private JWK as a compact JWE.
    pub(crate) sealed: String,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database refused or failed.
    #[error("the database does not do its work")]
    Database(#[from] sqlx::Error),
    /// The file cannot be made or locked.
    #[error("cannot open the store `{path}`")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another broker has it open.
    #[error("the store `{path}` is in use by another broker")]
    InUse {
        /// The file.
        path: String,
    },
    /// Somebody else could have written to it.
    #[error("the store `{path}` {why}")]
    Exposed {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It was made by a newer program.
    #[error("the store has schema version {found}, this program knows {known}; use a newer program")]
    TooNew {
        /// The version in the file.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// A signing key is not as a change expects it.
    #[error("a signing key is not as it was when the change was decided")]
    KeyChanged,
    /// A row does not hold what this program writes.
    #[error("a row of `{table}` cannot be read")]
    Row {
        /// The table.
        table: &'static str,
    },
    /// The last line of the audit chain was altered.
    #[error("the audit chain in the store cannot be continued")]
    Chain(#[from] symbolon_audit::LineError),
    /// A record has no line in the audit chain.
    #[error("a record does not fit the audit chain")]
    Record(#[from] symbolon_audit::EncodeError),
}
