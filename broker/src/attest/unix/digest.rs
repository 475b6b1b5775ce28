//! SHA-256 of executables, remembered by the identity of the file.
//! Not here: whose executable it is.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use symbolon_daemon::{Clock, SystemClock};

/// A larger file is not hashed: a caller could keep us busy with it.
const MAX_BYTES: u64 = 1 << 29;
/// So many files are remembered; then all are forgotten.
const MAX_FILES: usize = 1024;
/// File times are coarse: a file changed in the last seconds may change again under the same time.
const SETTLED_SECONDS: i64 = 3;

/// Hashes of files.
#[derive(Debug, Default)]
pub(super) struct Digests {
    known: Mutex<HashMap<FileIdentity, String>>,
}

/// What changes whenever the bytes of a file do: a write cannot leave `ctime` as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FileIdentity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

/// Why a file has no hash.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DigestError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// It is no regular file, or too large.
    #[error("the file is not a regular one of at most 512 MiB")]
    NotAnExecutable,
    /// It changed while it was read.
    #[error("the file changed while it was read")]
    Changed,
}

impl FileIdentity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            size: metadata.size(),
        }
    }

    fn is_settled(&self) -> bool {
        let now = i64::try_from(SystemClock.unix_seconds()).unwrap_or(i64::MAX);
        self.changed.0.saturating_add(SETTLED_SECONDS) < now
    }
}

impl Digests {
    /// The hash of an open file, if it is remembered.
    ///
    /// # Errors
    /// [`DigestError`].
    pub(super) fn remembered(&self, file: &File) -> Result<Option<String>, DigestError> {
        let identity = FileIdentity::of(&executable(file)?);
        Ok(self.known().get(&identity).cloned())
    }

    /// The SHA-256 of an open file, in hexadecimal.
    ///
    /// # Errors
    /// [`DigestError`].
    pub(super) fn of(&self, file: &File) -> Result<String, DigestError> {
        if let Some(known) = self.remembered(file)? {
            return Ok(known);
        }
        let identity = FileIdentity::of(&executable(file)?);
        let digest = hash(file)?;
        if FileIdentity::of(&file.metadata()?) != identity {
            return Err(DigestError::Changed);
        }
        if identity.is_settled() {
            let mut known = self.known();
            if known.len() >= MAX_FILES {
                known.clear();
            }
            known.insert(identity, digest.clone());
        }
        Ok(digest)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<FileIdentity, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn executable(file: &File) -> Result<Metadata, DigestError> {
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.size() <= MAX_BYTES {
        Ok(metadata)
    } else {
        Err(DigestError::NotAnExecutable)
    }
}

fn hash(file: &File) -> Result<String, io::Error> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0_u8; 1 << 16];
    let mut reader = file.take(MAX_BYTES);
    loop {
        let read = reader.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        context.update(bytes);
    }
    Ok(hexadecimal(context.finish().as_ref()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_hash_is_sha_256_and_follows_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let digests = Digests::default();
        std::fs::write(&path, b"abc").unwrap();
        let hash = digests.of(&File::open(&path).unwrap()).unwrap();
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"d").unwrap();
        assert_ne!(digests.of(&File::open(&path).unwrap()).unwrap(), hash);
    }

    #[test]
    fn a_file_that_has_just_changed_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let digests = Digests::default();
        std::fs::write(&path, b"abc").unwrap();
        digests.of(&File::open(&path).unwrap()).unwrap();
        assert!(digests.known().is_empty());
    }

    #[test]
    fn a_folder_is_no_executable() {
        let folder = File::open("/").unwrap();
        assert!(matches!(Digests::default().of(&folder), Err(DigestError::NotAnExecutable)));
    }
}
