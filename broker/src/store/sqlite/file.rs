//! The database file itself: who may read it, and who uses it.
//! Not here: what is in it.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::store::StoreError;

const GROUP_OR_OTHERS_WRITE: u32 = 0o022;

/// Our claim on the file; another broker's attempt fails while it is held. The kernel ends it with the process.
#[derive(Debug)]
pub(super) struct Claim {
    _lock: File,
}

impl Claim {
    /// Makes the file, readable by its owner only, and claims it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let failed = |source: io::Error| StoreError::File { path: shown.clone(), source };
        private(path).map_err(failed)?;
        check(path)?;
        let lock = private(&beside(path, ".lock")).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse { path: shown }),
            Err(errno) => Err(failed(errno.into())),
        }
    }
}

/// Checks that nobody else could have written to the file.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let shown = path.display().to_string();
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|source| StoreError::File { path: shown.clone(), source })?;
    match exposure(&metadata) {
        Some(why) => Err(StoreError::Exposed { path: shown, why }),
        None => Ok(()),
    }
}

/// Whether the log of a broker that runs, or that ended without tidying up, stands beside the file.
pub(super) fn has_log(path: &Path) -> bool {
    beside(path, "-wal").exists()
}

/// Why somebody else than root and we ourselves could have written a file: what is in it says which evidence was used.
fn exposure(metadata: &Metadata) -> Option<&'static str> {
    let ours = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        Some("is not a regular file")
    } else if metadata.uid() != 0 && metadata.uid() != ours {
        Some("belongs to another user")
    } else if metadata.mode() & GROUP_OR_OTHERS_WRITE != 0 {
        Some("can be written by its group or by everybody")
    } else {
        None
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// SQLite gives its log files the mode of the database, so it has to be right before SQLite opens it.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
