//! The open file and its chain: batches in, durable lines out.
//! Blocking; the writer calls it where blocking is allowed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

use super::{AppendError, Health, OpenError, Receipt, Waiting, tail};
use crate::chain::{Chain, EncodeError};

/// A file that this process alone writes to. The lock is given back by name: a child that is between `fork` and
/// `exec` holds a copy of the descriptor, and closing ours alone would leave the file locked until then.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // The descriptor is closed next, which ends the lock as well if nobody has a copy.
        let _closing = self.0.unlock();
    }
}

#[derive(Debug)]
pub(super) struct Journal {
    file: Locked,
    chain: Chain,
    /// The length of what is known to be on disk.
    durable: u64,
    /// Whether there may be bytes after `durable`.
    dirty: bool,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<(Self, u64), OpenError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // A FIFO would block the open for ever, and a symlink may be somebody else's choice of file.
        options.custom_flags(i32::try_from((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits()).unwrap_or(0));
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(OpenError::NotAFile);
        }
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => OpenError::InUse,
            std::fs::TryLockError::Error(error) => OpenError::Io(error),
        })?;
        let mut file = Locked(file);
        let found = tail::examine(&mut file.0)?;
        let repaired = file.0.metadata()?.len().saturating_sub(found.durable);
        if repaired > 0 {
            keep_torn(&mut file.0, path, found.durable)?;
            file.0.set_len(found.durable)?;
        }
        file.0.sync_all()?;
        sync_folder(path)?;
        file.0.seek(SeekFrom::Start(found.durable))?;
        Ok((Self { file, chain: found.chain, durable: found.durable, dirty: false }, repaired))
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.chain.sequence()
    }

    /// Writes and flushes a batch, notes whether that went well, then tells each caller. All records of a batch
    /// share its fate, but for those that have no line at all.
    pub(super) fn commit(&mut self, batch: Vec<Waiting>, health: &Health) {
        let before = self.chain;
        let mut lines = Vec::new();
        let mut receipts = Vec::with_capacity(batch.len());
        for Waiting { record, done } in batch {
            let line: Result<_, EncodeError> = self.chain.next(&record);
            receipts
                .push((done, line.as_ref().map(|line| Receipt { sequence: line.sequence }).map_err(|e| *e)));
            if let Ok(line) = line {
                lines.extend_from_slice(line.text.as_bytes());
                lines.push(b'\n');
            }
        }
        let written = self.write(&lines).map_err(|error| error.kind());
        if written.is_err() {
            self.chain = before;
        }
        health.note(written);
        for (done, receipt) in receipts {
            let outcome = match (receipt, written) {
                (Err(error), _) => Err(AppendError::Record(error)),
                (Ok(_), Err(kind)) => Err(AppendError::Unavailable(kind)),
                (Ok(receipt), Ok(())) => Ok(receipt),
            };
            // A caller that went away does not mind.
            let _gone = done.send(outcome);
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.file.0.metadata()?.nlink() == 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.dirty {
            self.file.0.set_len(self.durable)?;
            self.file.0.sync_all()?;
            self.file.0.seek(SeekFrom::Start(self.durable))?;
            self.dirty = false;
        }
        self.dirty = true;
        self.file.0.write_all(lines)?;
        self.file.0.sync_data()?;
        self.dirty = false;
        self.durable = self.durable.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}

/// Appends what is cut off to `FILE.torn`: it is not on record, but it is not lost either.
fn keep_torn(file: &mut File, path: &Path, from: u64) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".torn");
    let mut torn = OpenOptions::new().append(true).create(true).mode(0o600).open(name)?;
    file.seek(SeekFrom::Start(from))?;
    io::copy(file, &mut torn)?;
    torn.write_all(b"\n")?;
    torn.sync_all()
}

/// A new file is durable only with its folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::Journal;

    #[test]
    fn a_copy_of_the_descriptor_in_a_forked_child_does_not_keep_the_file_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let (journal, _) = Journal::open(&path).unwrap();
        // A duplicate shares the open file and so its lock, as a child's copy does until it calls `exec`.
        let copy = journal.file.0.try_clone().unwrap();
        drop(journal);
        assert!(Journal::open(&path).is_ok());
        drop(copy);
    }
}
