//! The one writer: collects entries that wait and commits them together.
//! Not here: SQL, or what an entry means.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use symbolon_daemon::metrics::duration_histogram;
use symbolon_daemon::{BlockReady, Lifecycle, Readiness, Registry};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::{Entry, Store, StoreError, Verdict};

/// So many entries share one commit at most.
const BATCH: usize = 64;
/// So many entries may wait for the writer; beyond it callers are sent away at once.
const QUEUE: usize = 1024;
/// So often a store in trouble is tried.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// So long may one entry wait for its commit.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the record. Clones share the writer.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    queue: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Job {
    entry: Entry,
    done: oneshot::Sender<Verdict>,
}

/// Why an entry may not be on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LedgerError {
    /// Too many entries wait.
    #[error("too many answers wait to be put on record")]
    Full,
    /// The store failed, is too slow, or the program is ending.
    #[error("the answer could not be put on record")]
    Unavailable,
}

/// What the writer counts.
#[derive(Debug, Clone)]
pub(crate) struct LedgerMetrics {
    commits: Histogram,
    entries: Counter,
    failures: Counter,
}

impl LedgerMetrics {
    /// Adds the families to `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics =
            Self { commits: duration_histogram(), entries: Counter::default(), failures: Counter::default() };
        let help = "Time of one commit of the store, in which many answers share";
        registry.register("broker_store_commit_seconds", help, metrics.commits.clone());
        registry.register("broker_store_entries", "Answers put on record", metrics.entries.clone());
        registry.register("broker_store_failures", "Commits that failed", metrics.failures.clone());
        metrics
    }
}

impl Ledger {
    /// Starts the writer.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        metrics: LedgerMetrics,
        lifecycle: &Lifecycle,
        readiness: &Readiness,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let writer = Writer { store, metrics, readiness: readiness.clone(), trouble: None };
        let indispensable = Indispensable(lifecycle.clone());
        // In the background: it ends after the last connection that could still need it.
        lifecycle.spawn_background("ledger", async move {
            let _indispensable = indispensable;
            writer.write(jobs).await;
        });
        Self { queue }
    }

    /// Waits until the entry is durable.
    ///
    /// # Errors
    /// [`LedgerError`] if it is not known to be; then nothing may be answered but an outage.
    pub(crate) async fn record(&self, entry: Entry) -> Result<Verdict, LedgerError> {
        let (done, verdict) = oneshot::channel();
        self.queue.try_send(Job { entry, done }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LedgerError::Full,
            mpsc::error::TrySendError::Closed(_) => LedgerError::Unavailable,
        })?;
        match tokio::time::timeout(PATIENCE, verdict).await {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(_)) | Err(_) => Err(LedgerError::Unavailable),
        }
    }
}

/// The one that commits.
#[derive(Debug)]
struct Writer {
    store: Arc<dyn Store>,
    metrics: LedgerMetrics,
    readiness: Readiness,
    /// Held while the last commit failed: a broker that cannot answer should not be asked.
    trouble: Option<BlockReady>,
}

impl Writer {
    async fn write(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(BATCH);
        loop {
            let received = tokio::select! {
                received = jobs.recv_many(&mut waiting, BATCH) => received,
                () = sleep(PROBE_EVERY), if self.trouble.is_some() => {
                    // Nobody may ask any more while we are not ready, so we look ourselves.
                    let probed = self.store.probe().await;
                    self.note(probed.err().as_ref());
                    continue;
                }
            };
            if received == 0 {
                return;
            }
            self.commit(&mut waiting).await;
        }
    }

    async fn commit(&mut self, waiting: &mut Vec<Job>) {
        // Whoever has stopped waiting was told of an outage: its answer must not use anything up.
        let (entries, callers): (Vec<Entry>, Vec<_>) =
            waiting.drain(..).filter(|job| !job.done.is_closed()).map(|job| (job.entry, job.done)).unzip();
        if entries.is_empty() {
            return;
        }
        let started = Instant::now();
        let committed = self.store.commit(entries).await;
        self.note(committed.as_ref().err());
        let Ok(verdicts) = committed else { return };
        self.metrics.commits.observe(started.elapsed().as_secs_f64());
        self.metrics.entries.inc_by(u64::try_from(verdicts.len()).unwrap_or(u64::MAX));
        for (verdict, caller) in verdicts.into_iter().zip(callers) {
            // The caller may have gone; its answer is on record all the same.
            let _ = caller.send(verdict);
        }
    }

    /// Notes how a commit ended.
    fn note(&mut self, error: Option<&StoreError>) {
        match error {
            None => self.trouble = None,
            Some(error) => {
                self.metrics.failures.inc();
                let error = crate::error_chain(error);
                tracing::error!(
                    event.name = "store.commit_failed",
                    error,
                    "answers could not be put on record"
                );
                self.trouble.get_or_insert_with(|| self.readiness.block("store"));
            }
        }
    }
}

/// Ends the program if the writer ends before it: without records there are no answers, ever again.
#[derive(Debug)]
struct Indispensable(Lifecycle);

impl Drop for Indispensable {
    fn drop(&mut self) {
        if !self.0.is_shutting_down() {
            self.0.fail("the ledger ended");
        }
    }
}

#[cfg(test)]
mod tests;
