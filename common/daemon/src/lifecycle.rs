//! The life of a program: its tasks, its signals, its end.
//! Not a supervisor: a task that ends is counted, not restarted.

mod signals;
mod tasks;

use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::metrics::Registry;
use crate::readiness::Readiness;
use signals::{Heard, Signals};
use tasks::Tasks;

/// How long background tasks may take to notice that everything has ended.
const BACKGROUND_GRACE: Duration = Duration::from_secs(1);

/// The owner of every task in a program. Clones share it.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    inner: Arc<Inner>,
    readiness: Readiness,
}

#[derive(Debug)]
struct Inner {
    tasks: Tasks,
    /// Cancelled when the drain begins.
    shutdown: CancellationToken,
    /// Cancelled when the drain is over.
    end: CancellationToken,
    reloads: watch::Sender<u64>,
    failure: Mutex<Option<&'static str>>,
    signals: Mutex<Option<Signals>>,
    grace: Duration,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All work in flight was finished.
    Drained,
    /// Work was still in flight when the grace period was over, and was cut off.
    CutOff,
    /// A second signal ended the drain.
    Aborted,
    /// A part of the program could not go on, and took the program with it.
    Failed(&'static str),
}

impl Ended {
    /// The exit code: 0 after an asked-for end, 1 after an abort or a failure.
    #[must_use]
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Drained | Self::CutOff => ExitCode::SUCCESS,
            Self::Aborted | Self::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        ended.exit_code()
    }
}

impl Lifecycle {
    /// A lifecycle that ends only by [`Lifecycle::shutdown`] or [`Lifecycle::fail`]; `grace` limits its drain.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self::build(grace, None)
    }

    /// A lifecycle that also listens to SIGTERM, SIGINT and SIGHUP from now on.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn with_signals(grace: Duration) -> std::io::Result<Self> {
        Ok(Self::build(grace, Some(Signals::listen()?)))
    }

    fn build(grace: Duration, signals: Option<Signals>) -> Self {
        let (reloads, _) = watch::channel(0);
        let inner = Inner {
            tasks: Tasks::default(),
            shutdown: CancellationToken::new(),
            end: CancellationToken::new(),
            reloads,
            failure: Mutex::default(),
            signals: Mutex::new(signals),
            grace,
        };
        Self { inner: Arc::new(inner), readiness: Readiness::new() }
    }

    /// Uses `readiness`, which the drain will block, so that no new work is sent to us.
    #[must_use]
    pub fn with_readiness(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }

    /// Adds the metrics of the tasks to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.inner.tasks.register(registry);
    }

    /// Starts a task that the drain waits for. It should end soon after [`Lifecycle::shutting_down`].
    ///
    /// `name` is a metric label: a word for the kind of task, never an id.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.tasks.spawn(name, task);
    }

    /// Starts a task that the drain does not wait for: it is dropped once the work in flight is done.
    ///
    /// For what serves others and has no work of its own, such as pooled connections and refreshers.
    pub fn spawn_background(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.tasks.spawn_background(name, self.inner.end.clone(), task);
    }

    /// Completes when the drain begins; at once if it has begun.
    pub fn shutting_down(&self) -> WaitForCancellationFutureOwned {
        self.inner.shutdown.clone().cancelled_owned()
    }

    /// How long the drain may take.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.inner.grace
    }

    /// Whether the drain has begun.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.inner.shutdown.is_cancelled()
    }

    /// Begins the drain.
    pub fn shutdown(&self) {
        self.inner.shutdown.cancel();
    }

    /// Begins the drain because a part of the program cannot go on. The first reason is kept.
    pub fn fail(&self, reason: &'static str) {
        let mut failure = self.inner.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(reason);
        drop(failure);
        tracing::error!(event.name = "lifecycle.failed", reason, "the program cannot go on");
        self.shutdown();
    }

    /// The reloads that are asked for from now on. Several in a row may arrive as one.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        Reloads { changes: self.inner.reloads.subscribe() }
    }

    /// Asks for a reload, as SIGHUP does.
    pub fn request_reload(&self) {
        self.inner.reloads.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Serves until told to stop, then drains: readiness off, work in flight finished, tasks ended.
    pub async fn run(self) -> Ended {
        let signals = self.inner.signals.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut signals = signals.unwrap_or_default();
        loop {
            tokio::select! {
                () = self.inner.shutdown.cancelled() => break,
                heard = signals.next() => match heard {
                    Heard::Stop => break,
                    Heard::Reload => self.request_reload(),
                },
            }
        }
        self.drain(&mut signals).await
    }

    async fn drain(&self, signals: &mut Signals) -> Ended {
        // Never dropped: a program that drains is not ready again.
        std::mem::forget(self.readiness.block("shutting down"));
        self.shutdown();
        tracing::info!(
            event.name = "lifecycle.draining",
            grace_seconds = self.inner.grace.as_secs(),
            "draining"
        );
        let ended = tokio::select! {
            () = self.inner.tasks.finished() => Ended::Drained,
            () = tokio::time::sleep(self.inner.grace) => Ended::CutOff,
            () = signals.stop() => Ended::Aborted,
        };
        if ended != Ended::Drained {
            let left = self.inner.tasks.running().join(" ");
            tracing::warn!(event.name = "lifecycle.cut_off", tasks = left, "ending with work in flight");
        }
        self.inner.end.cancel();
        // What does not notice in time is dropped together with the runtime.
        let _ = tokio::time::timeout(BACKGROUND_GRACE, self.inner.tasks.background_finished()).await;
        let failure = *self.inner.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(ended, Ended::Failed)
    }
}

/// A stream of requests to reload.
#[derive(Debug)]
pub struct Reloads {
    changes: watch::Receiver<u64>,
}

impl Reloads {
    /// Waits for the next request. Never completes once the lifecycle is gone.
    pub async fn next(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;
