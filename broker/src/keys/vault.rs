//! Keys between rest and work: made and sealed, opened and checked, never on a thread that serves requests.
//! Not here: the sealing itself (`keys::seal`), or the store.

use std::sync::Arc;

use symbolon_jws::{Algorithm, SigningKey};

use super::local::{self, GenerateError};
use super::seal::{Seal, SealError};
use crate::store::{Store, StoreError, StoredKey};

/// What opens and seals.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    seal: Arc<Seal>,
}

/// A key that was made and is not kept yet.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) key: SigningKey,
    pub(super) sealed: String,
}

/// Why the signing keys cannot be had or changed.
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
    Generate(#[from] GenerateError),
    /// The work was cut off.
    #[error("the work on a signing key was cut off")]
    CutOff,
    /// The public keys have no JSON form.
    #[error("the public keys cannot be written")]
    Unwritable,
}

impl Vault {
    /// A vault with this seal.
    pub(crate) fn new(seal: Arc<Seal>) -> Self {
        Self { seal }
    }

    /// Tries whether all keys in the store open with this seal.
    ///
    /// # Errors
    /// [`KeyError`] as for [`super::Keeper::open`].
    pub(crate) async fn try_all(&self, store: &dyn Store) -> Result<(), KeyError> {
        self.open(store.keys().await?).await.map(drop)
    }

    /// Makes a key and seals it.
    pub(super) async fn make(&self, algorithm: Algorithm) -> Result<Made, KeyError> {
        let seal = Arc::clone(&self.seal);
        aside(move || {
            let generated = local::generate(algorithm)?;
            let key_id = generated.key.thumbprint().to_string();
            let sealed = seal.seal(&generated.private).map_err(|source| KeyError::Seal { key_id, source })?;
            Ok(Made { key: generated.key, sealed })
        })
        .await
    }

    /// Opens keys, in their order.
    pub(super) async fn open(&self, stored: Vec<StoredKey>) -> Result<Vec<SigningKey>, KeyError> {
        let seal = Arc::clone(&self.seal);
        aside(move || stored.iter().map(|key| unsealed(key, &seal)).collect()).await
    }
}

async fn aside<T, F>(work: F) -> Result<T, KeyError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, KeyError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| KeyError::CutOff)?
}

fn unsealed(stored: &StoredKey, seal: &Seal) -> Result<SigningKey, KeyError> {
    let key_id = stored.life.id.to_string();
    let private =
        seal.open(&stored.sealed).map_err(|source| KeyError::Seal { key_id: key_id.clone(), source })?;
    match SigningKey::from_private_jwk(&private) {
        // A row that was moved to another name would sign as a key that verifiers know by other bytes.
        Ok(key) if key.thumbprint() == stored.life.id && key.algorithm() == stored.life.algorithm => Ok(key),
        Ok(_) | Err(_) => Err(KeyError::NotThatKey { key_id }),
    }
}
