//! The tasks of a program: named, tracked, their panics counted.
//! The only place that may call `tokio::spawn`, here by way of the tracker.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Registry;

/// All tasks of one program.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    foreground: TaskTracker,
    background: TaskTracker,
    running: Running,
    metrics: TaskMetrics,
}

/// How many tasks of each name run.
type Running = Arc<Mutex<BTreeMap<&'static str, u64>>>;

#[derive(Debug, Clone, Default)]
struct TaskMetrics {
    running: Family<TaskLabels, Gauge>,
    panics: Family<TaskLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    task: &'static str,
}

impl Tasks {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tasks", "Tasks that run now, by kind", self.metrics.running.clone());
        registry.register("task_panics", "Tasks that ended in a panic, by kind", self.metrics.panics.clone());
    }

    pub(super) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.foreground.spawn(self.watched(name, Some(&self.running), task));
    }

    pub(super) fn spawn_background(
        &self,
        name: &'static str,
        end: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let until_end = async move {
            tokio::select! {
                () = task => {}
                () = end.cancelled_owned() => {}
            }
        };
        self.background.spawn(self.watched(name, None, until_end));
    }

    /// Waits until no task is left that the drain should wait for.
    pub(super) async fn finished(&self) {
        self.foreground.close();
        self.foreground.wait().await;
    }

    /// Waits until no background task is left.
    pub(super) async fn background_finished(&self) {
        self.background.close();
        self.background.wait().await;
    }

    /// The kinds of tasks that the drain still waits for.
    pub(super) fn running(&self) -> Vec<&'static str> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().filter(|(_, count)| **count > 0).map(|(name, _)| *name).collect()
    }

    fn watched(
        &self,
        name: &'static str,
        running: Option<&Running>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let labels = TaskLabels { task: name };
        let counted = Counted::new(name, running, self.metrics.running.get_or_create(&labels).clone());
        let panics = self.metrics.panics.clone();
        async move {
            let _counted = counted;
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                panics.get_or_create(&labels).inc();
                tracing::error!(event.name = "task.panicked", task = name, "a task ended in a panic");
            }
        }
    }
}

/// Counts a task for as long as it lives, also when it is dropped half-way.
struct Counted {
    name: &'static str,
    running: Option<Running>,
    gauge: Gauge,
}

impl Counted {
    fn new(name: &'static str, running: Option<&Running>, gauge: Gauge) -> Self {
        gauge.inc();
        if let Some(running) = running {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            let count = running.entry(name).or_default();
            *count = count.saturating_add(1);
        }
        Self { name, running: running.cloned(), gauge }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.dec();
        if let Some(running) = &self.running {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = running.get_mut(self.name) {
                *count = count.saturating_sub(1);
            }
        }
    }
}
