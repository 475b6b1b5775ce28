//! The file that gates answers: a record is on disk before the caller hears about it.
//! One writer per file; who cannot write says so, and nothing is dropped in silence.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    chain::{EncodeError, LineError},
    record::Record,
};

mod journal;
mod tail;

use journal::Journal;

/// How many records are made durable by one flush at most.
pub const MAX_BATCH: usize = 64;
const QUEUE: usize = 1024;

/// A handle on the file; cheap to clone.
#[derive(Clone, Debug)]
pub struct FileSink {
    queue: mpsc::Sender<Waiting>,
    health: Arc<Health>,
}

/// The one that writes: the program runs it as a task of its own.
#[derive(Debug)]
pub struct Writer {
    queue: mpsc::Receiver<Waiting>,
    health: Arc<Health>,
    journal: Journal,
}

/// A sink that is open, its writer, and what was found at the end of the file.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub sink: FileSink,
    /// The writer, to be run.
    pub writer: Writer,
    /// The number of the last record in the file.
    pub last_sequence: u64,
    /// How many bytes of an unfinished write were cut off; they are kept in `FILE.torn`.
    pub repaired_bytes: u64,
}

/// Proof that a record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The record's number.
    pub sequence: u64,
}

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to it.
    #[error("the audit file is in use by another process")]
    InUse,
    /// Its end was altered: start a new file and keep this one.
    #[error("the end of the audit file was altered: {0}; move the file away to start a new one")]
    Altered(#[source] LineError),
    /// It is not a regular file.
    #[error("the audit file is not a regular file")]
    NotAFile,
    /// The operating system refused.
    #[error("the audit file could not be opened: {0}")]
    Io(#[from] io::Error),
}

/// Why a record is not on disk. Nothing that depends on it may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The record itself cannot be written.
    #[error(transparent)]
    Record(#[from] EncodeError),
    /// The file cannot be written at the moment: disk full, read-only, removed.
    #[error("the audit file cannot be written: {0}")]
    Unavailable(io::ErrorKind),
    /// The writer has ended.
    #[error("the audit writer has ended")]
    Closed,
}

impl AppendError {
    /// Whether the cause is ours: always.
    #[must_use]
    pub const fn is_our_fault(self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Waiting {
    record: Box<Record>,
    done: oneshot::Sender<Result<Receipt, AppendError>>,
}

impl FileSink {
    /// Opens or creates the file (mode 0600) for this process alone and mends an unfinished write at its end.
    ///
    /// This reads the end of the file: call it before serving, not from a request.
    ///
    /// # Errors
    /// When the file is in use, is not a file, cannot be opened, or its end was altered.
    pub fn open(path: &Path) -> Result<Opened, OpenError> {
        let (journal, repaired_bytes) = Journal::open(path)?;
        let (sender, queue) = mpsc::channel(QUEUE);
        let health = Arc::new(Health(AtomicBool::new(true)));
        let last_sequence = journal.last_sequence();
        let sink = Self { queue: sender, health: Arc::clone(&health) };
        Ok(Opened { sink, writer: Writer { queue, health, journal }, last_sequence, repaired_bytes })
    }

    /// Puts a record on disk; returns when it is durable. Waits while the queue is full.
    ///
    /// A caller that stops waiting may find the record in the file or not.
    ///
    /// # Errors
    /// When the record is not on disk; a later call may succeed.
    pub async fn append(&self, record: Record) -> Result<Receipt, AppendError> {
        let (done, receipt) = oneshot::channel();
        let waiting = Waiting { record: Box::new(record), done };
        self.queue.send(waiting).await.map_err(|_| AppendError::Closed)?;
        receipt.await.map_err(|_| AppendError::Closed)?
    }

    /// Whether the last write succeeded: for readiness.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.health.0.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Writes what is appended, many records per flush, until every [`FileSink`] is dropped.
    pub async fn run(self) {
        let Self { mut queue, health, mut journal } = self;
        loop {
            let mut batch = Vec::with_capacity(MAX_BATCH);
            if queue.recv_many(&mut batch, MAX_BATCH).await == 0 {
                return;
            }
            let noted = Arc::clone(&health);
            let commit = tokio::task::spawn_blocking(move || {
                journal.commit(batch, &noted);
                journal
            });
            // The task cannot be cancelled once it runs; if it died the callers hear `Closed`.
            let Ok(kept) = commit.await else {
                health.0.store(false, Ordering::Relaxed);
                tracing::error!(event.name = "audit.writer_failed", "the audit writer ended");
                return;
            };
            journal = kept;
        }
    }
}

/// Whether the last write succeeded.
#[derive(Debug)]
struct Health(AtomicBool);

impl Health {
    /// Notes how a write ended; says once when writing begins to fail, and once when it works again.
    fn note(&self, outcome: Result<(), io::ErrorKind>) {
        if self.0.swap(outcome.is_ok(), Ordering::Relaxed) == outcome.is_ok() {
            return;
        }
        match outcome {
            Ok(()) => tracing::info!(event.name = "audit.recovered", "audit records are written again"),
            Err(kind) => {
                tracing::error!(event.name = "audit.unavailable", error.kind = %kind, "audit records cannot be written");
            }
        }
    }
}
