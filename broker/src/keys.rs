//! The ring of keys that tokens are signed with, and the public set that verifiers fetch.
//! Not here: when a key changes (`keys::schedule`) and who changes it (`keys::keeper`).

mod desk;
mod keeper;
mod life;
mod local;
mod published;
mod schedule;
mod seal;
mod settings;
mod vault;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use symbolon_jws::{Algorithm, SigningKey, Thumbprint, VerifyingKey};

pub(crate) use desk::{Ask, KeyDesk, KeyRefusal, KeyReport, PlannedKey};
pub(crate) use keeper::Keeper;
pub(crate) use life::{KeyChange, KeyLife, KeyTurn, Phase, RevokedKey};
pub(crate) use published::PublishedKeys;
pub(crate) use schedule::Schedule;
pub(crate) use seal::{Seal, SealError};
pub(crate) use vault::{KeyError, Vault};

/// The keys as requests see them: swapped whole, after the store has them.
#[derive(Debug)]
pub(crate) struct SigningRing {
    current: ArcSwap<Snapshot>,
}

/// The keys between two changes.
#[derive(Debug)]
struct Snapshot {
    /// One for each algorithm in use.
    signers: Vec<Arc<SigningKey>>,
    /// All that are published, also those that do not sign.
    verifiers: HashMap<Thumbprint, VerifyingKey>,
    published: Arc<PublishedKeys>,
}

impl SigningRing {
    /// The key that signs with this algorithm now; none if no resource uses it.
    pub(crate) fn signer(&self, algorithm: Algorithm) -> Option<Arc<SigningKey>> {
        self.current.load().signers.iter().find(|key| key.algorithm() == algorithm).cloned()
    }

    /// The ids of the keys that sign now.
    pub(crate) fn signing_ids(&self) -> Vec<String> {
        self.current.load().signers.iter().map(|key| key.key_id().to_owned()).collect()
    }

    /// The public key of this id, if verifiers can fetch it: of one that has not signed yet, that signs, or that has
    /// ceased to, and of none that was revoked.
    pub(crate) fn verifying_key(&self, key_id: &str) -> Option<VerifyingKey> {
        let id = Thumbprint::parse(key_id).ok()?;
        self.current.load().verifiers.get(&id).cloned()
    }

    /// The public halves of all keys.
    pub(crate) fn published(&self) -> Arc<PublishedKeys> {
        Arc::clone(&self.current.load().published)
    }
}
