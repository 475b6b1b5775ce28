//! The one key of this sidecar, which all its tokens are bound to: fresh at each start, or kept in a file.
//! It makes proofs and is never shown; no token can be used without it. How it gets into the file: `key/file.rs`.

mod file;

use std::io;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use symbolon_evidence::protected_file::{self, ProtectedFileError, Rules};
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofKeyError};

use crate::config::{KeyAlgorithm, KeyConfig};
use file::{KeyFolder, Placed};

const MAX_KEY_BYTES: usize = 4096;

/// Reads the key of the configuration, or makes one.
///
/// # Errors
/// The file cannot be read or written, others could read it, or it holds no key.
pub(crate) fn load_or_generate(config: &KeyConfig) -> Result<ProofKey, KeyError> {
    let Some(path) = &config.file else { return Ok(generate(config.algorithm)?) };
    let key = match load(path)? {
        Some(key) => key,
        None => make(path, config.algorithm)?,
    };
    // What cannot be removed is in nobody's way.
    let _ = KeyFolder::of(path).map(|folder| folder.remove_drafts());
    Ok(key)
}

fn make(path: &Path, algorithm: KeyAlgorithm) -> Result<ProofKey, KeyError> {
    let failed = |source| KeyError::Write { path: path.to_path_buf(), source };
    let key = generate(algorithm)?;
    let number = symbolon_jws::random_bytes::<8>().map_err(ProofKeyError::from)?;
    let folder = KeyFolder::of(path).map_err(failed)?;
    let placed = folder.place(u64::from_le_bytes(number), key.to_private_jwk().expose_secret().as_bytes());
    match placed.map_err(failed)? {
        Placed::Ours => Ok(key),
        // Another process was first: its key is the key.
        Placed::Theirs(error) => load(path)?.ok_or_else(|| failed(error)),
    }
}

/// Checks an existing key file, as `config validate` does; a missing one is made at start.
///
/// # Errors
/// As [`load_or_generate`].
pub(crate) fn check(config: &KeyConfig) -> Result<(), KeyError> {
    config.file.as_deref().map_or(Ok(()), |path| load(path).map(drop))
}

fn generate(algorithm: KeyAlgorithm) -> Result<ProofKey, ProofKeyError> {
    ProofKey::generate(match algorithm {
        KeyAlgorithm::Es256 => Algorithm::Es256,
        KeyAlgorithm::EdDsa => Algorithm::EdDsa,
    })
}

fn load(path: &Path) -> Result<Option<ProofKey>, KeyError> {
    match protected_file::read(path, Rules::own_secret(MAX_KEY_BYTES)) {
        Ok(contents) => {
            let key = ProofKey::from_private_jwk(contents.text.expose_secret().as_bytes());
            key.map(Some).map_err(|source| KeyError::Content { path: path.to_path_buf(), source })
        }
        Err(ProtectedFileError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Why there is no proof key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not safe or cannot be read.
    #[error(transparent)]
    File(#[from] ProtectedFileError),
    /// The file holds something else than a private key.
    #[error("`{path}` holds no proof key")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ProofKeyError,
    },
    /// The file cannot be written.
    #[error("cannot write the proof key to `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No key could be generated.
    #[error("cannot generate a proof key")]
    Generate(#[from] ProofKeyError),
}

#[cfg(test)]
mod tests;
