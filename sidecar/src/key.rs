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
const DRAFT: &str = ".new";

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
    remove_drafts(path);
    Ok(key)
}

fn make(path: &Path, algorithm: KeyAlgorithm) -> Result<ProofKey, KeyError> {
    let failed = |source| KeyError::Write { path: path.to_path_buf(), source };
    let key = generate(algorithm)?;
    let number = symbolon_jws::random_bytes::<8>().map_err(ProofKeyError::from)?;
    let draft = beside(path, u64::from_le_bytes(number));
    if let Err(error) = write_private(&draft, key.to_private_jwk().expose_secret().as_bytes()) {
        let _ = fs::remove_file(&draft);
        return Err(failed(error));
    }
    match fs::hard_link(&draft, path) {
        Ok(()) => Ok(key),
        // Another process was first: its key is the key, and it may have removed our draft already.
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            load(path)?.ok_or_else(|| failed(error))
        }
        Err(error) => {
            let _ = fs::remove_file(&draft);
            Err(failed(error))
        }
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

/// The name under which a key is written before it gets its own, so that nobody ever reads half of one.
///
/// By chance and not by process id: in a container a restart has the same id as the process that was killed.
fn beside(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:016x}{DRAFT}"));
    PathBuf::from(name)
}

/// Removes our draft, and those of processes that were killed. Once there is a key no draft is of use: a process
/// that loses its own here finds the key in its place.
fn remove_drafts(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // What cannot be removed is in nobody's way.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|other| is_draft(other, name)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether `other` is a draft of `name`.
fn is_draft(other: &str, name: &str) -> bool {
    let number = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
    let number = number.and_then(|rest| rest.strip_suffix(DRAFT)).unwrap_or_default();
    (1..=16).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_hexdigit())
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
        write_private(&path, b"{}").unwrap();
        assert!(matches!(load_or_generate(&at(path.clone())), Err(KeyError::Content { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"{}");
    }

    #[test]
    fn a_start_that_was_killed_half_way_does_not_stop_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        // The same process id, as in a container, and any other.
        for number in [std::process::id().to_string(), "1".to_owned(), "00ff00ff00ff00ff".to_owned()] {
            write_private(&folder.path().join(format!("key.json.{number}.new")), b"{").unwrap();
        }
        let first = load_or_generate(&at(path.clone())).unwrap().thumbprint();
        assert_eq!(load_or_generate(&at(path)).unwrap().thumbprint(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_beside_a_key_is_removed_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        load_or_generate(&at(path.clone())).unwrap();
        for name in ["key.json.1.new", "key.json.new", "key.json.old.new", "other.json.1.new"] {
            write_private(&folder.path().join(name), b"{").unwrap();
        }
        load_or_generate(&at(path)).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["key.json", "key.json.new", "key.json.old.new", "other.json.1.new"]);
    }

    #[test]
    fn processes_that_start_at_once_end_up_with_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let config = at(folder.path().join("key.json"));
        let start = std::sync::Barrier::new(8);
        let prints: Vec<_> = std::thread::scope(|scope| {
            let begin = || {
                start.wait();
                load_or_generate(&config).unwrap().thumbprint()
            };
            let started: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(prints.windows(2).all(|pair| pair[0] == pair[1]), "{prints:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
