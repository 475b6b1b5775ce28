//! The ring of keys that tokens are signed with, and the public set that verifiers fetch.
//! Not here: where keys come from (`keys::local`) and how they rest (`keys::seal`).

mod local;
mod seal;

use symbolon_identity::Timestamp;
use symbolon_jws::{Jwk, SigningKey, SigningKeyError, VerifyingKey};

use crate::store::{SealedKey, Store, StoreError};

pub(crate) use seal::{Seal, SealError};

/// The signing keys of this broker: one signs, all are published.
#[derive(Debug)]
pub(crate) struct SigningRing {
    active: SigningKey,
    retired: Vec<SigningKey>,
    is_new: bool,
}

/// Why the signing keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The store does not give or take them.
    #[error("the signing keys cannot be read or kept")]
    Store(#[from] StoreError),
    /// A key does not open, or a new one cannot be sealed.
    #[error("signing key `{key_id}`")]
    Seal {
        /// The key.
        key_id: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// What was sealed is no key, or another one than its name says.
    #[error("what is kept as signing key `{key_id}` is another key or none")]
    NotThatKey {
        /// The name under which it is kept.
        key_id: String,
    },
    /// No new key could be made.
    #[error("a signing key could not be made")]
    Generate(#[from] local::GenerateError),
}

impl SigningRing {
    /// Opens the keys in the store; makes the first one if there is none, which signs at once: nobody can have
    /// fetched an older set.
    ///
    /// # Errors
    /// [`KeyError`] if the store fails, or if a key does not open with this seal.
    pub(crate) async fn open(store: &dyn Store, seal: &Seal, now: Timestamp) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for sealed in store.sealed_keys().await? {
            keys.push(unsealed(&sealed, seal)?);
        }
        Ok(match keys.pop() {
            Some(active) => Self { active, retired: keys, is_new: false },
            None => Self { active: first(store, seal, now).await?, retired: keys, is_new: true },
        })
    }

    /// Whether the signing key was made just now.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The key that signs.
    pub(crate) fn active(&self) -> &SigningKey {
        &self.active
    }

    /// The public key of this id, if it is one of ours.
    pub(crate) fn verifying_key(&self, key_id: &str) -> Option<VerifyingKey> {
        let mut keys = std::iter::once(&self.active).chain(&self.retired);
        keys.find(|key| key.key_id() == key_id).map(|key| key.verifying_key().clone())
    }

    /// The public halves of all keys, the signing one first.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Jwk> {
        std::iter::once(&self.active).chain(&self.retired).map(SigningKey::public_jwk)
    }
}

fn unsealed(sealed: &SealedKey, seal: &Seal) -> Result<SigningKey, KeyError> {
    let key_id = sealed.key_id.clone();
    let private =
        seal.open(&sealed.sealed).map_err(|source| KeyError::Seal { key_id: key_id.clone(), source })?;
    match SigningKey::from_private_jwk(&private) {
        // A row that was moved to another name would sign as a key that verifiers know by other bytes.
        Ok(key) if key.thumbprint().to_string() == key_id => Ok(key),
        Ok(_) | Err(_) => Err(KeyError::NotThatKey { key_id }),
    }
}

async fn first(store: &dyn Store, seal: &Seal, now: Timestamp) -> Result<SigningKey, KeyError> {
    let generated = local::generate()?;
    let key_id = generated.key.thumbprint().to_string();
    let sealed =
        seal.seal(&generated.private).map_err(|source| KeyError::Seal { key_id: key_id.clone(), source })?;
    store.add_sealed_key(SealedKey { key_id: key_id.clone(), sealed, created_at: now }).await?;
    tracing::info!(event.name = "keys.generated", key.id = key_id, "the first signing key was made");
    Ok(generated.key)
}

/// Why a private JWK of our own making is no signing key.
pub(crate) type BadKey = SigningKeyError;
