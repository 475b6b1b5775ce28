//! The database file itself: who may read it, and who uses it.
//! Not here: what is in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::store::StoreError;

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
        let lock = private(&beside(path)).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse { path: shown }),
            Err(errno) => Err(failed(errno.into())),
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// SQLite gives its log files the mode of the database, so it has to be right before SQLite opens it.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
