//! The one key of this sidecar, which all its tokens are bound to: fresh at each start, or kept in a file.
//! It makes proofs and is never shown; no token can be used without it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use symbolon_evidence::protected_file::{self, ProtectedFileError, Rules};
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofKeyError};

use crate::config::{KeyAlgorithm, KeyConfig};

const MAX_KEY_BYTES: usize = 4096;

/// Reads the key of the configuration, or makes one.
///
/// # Errors
/// The file cannot be read or written, others could read it, or it holds no key.
pub(crate) fn load_or_generate(config: &KeyConfig) -> Result<ProofKey, KeyError> {
    let Some(path) = &config.file else { return Ok(generate(config.algorithm)?) };
    if let Some(key) = load(path)? {
        return Ok(key);
    }
    let key = generate(config.algorithm)?;
    match write_new(path, key.to_private_jwk().expose_secret().as_bytes()) {
        Ok(()) => Ok(key),
        // Another process was first: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            load(path)?.ok_or_else(|| KeyError::Write { path: path.clone(), source: error })
        }
        Err(source) => Err(KeyError::Write { path: path.clone(), source }),
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
    match protected_file::read(path, Rules::private(MAX_KEY_BYTES)) {
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

/// Writes the whole file or nothing, and never over another.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = write_private(&beside, bytes).and_then(|()| fs::hard_link(&beside, path));
    // The name beside is of no use any more, whether the link was made or not.
    let _ = fs::remove_file(&beside);
    written
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn at(path: PathBuf) -> KeyConfig {
        KeyConfig { algorithm: KeyAlgorithm::Es256, file: Some(path) }
    }

    #[test]
    fn a_kept_key_is_the_same_after_a_restart_and_only_ours_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let config = at(folder.path().join("key.json"));
        let first = load_or_generate(&config).unwrap().thumbprint();
        assert_eq!(load_or_generate(&config).unwrap().thumbprint(), first);
        let mode = fs::metadata(folder.path().join("key.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o400);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_in_memory_is_another_at_each_start() {
        let config = KeyConfig::default();
        let (one, two) = (load_or_generate(&config).unwrap(), load_or_generate(&config).unwrap());
        assert_ne!(one.thumbprint(), two.thumbprint());
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        load_or_generate(&at(path.clone())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        let error = load_or_generate(&at(path.clone())).unwrap_err();
        assert!(matches!(error, KeyError::File(ProtectedFileError::Unsafe { .. })), "{error}");
        assert!(check(&at(path)).is_err());
    }

    #[test]
    fn a_file_with_something_else_is_neither_used_nor_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        write_new(&path, b"{}").unwrap();
        assert!(matches!(load_or_generate(&at(path.clone())), Err(KeyError::Content { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"{}");
    }
}
