//! Lets hyper start its tasks under a lifecycle.
//! Not for our own tasks, which have names of their own.

use std::future::Future;
use std::sync::Arc;

use symbolon_daemon::Lifecycle;
use tokio::sync::Notify;

/// Starts hyper's tasks as tasks of a lifecycle.
#[derive(Debug, Clone)]
pub(crate) struct LifecycleExecutor {
    lifecycle: Lifecycle,
    name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Foreground,
    Background,
}

impl LifecycleExecutor {
    /// Tasks that a drain waits for, and that can be ended one by one.
    pub(crate) fn foreground(name: &'static str, lifecycle: &Lifecycle) -> Self {
        Self { lifecycle: lifecycle.clone(), name, kind: Kind::Foreground }
    }

    /// Tasks that end after a drain.
    pub(crate) fn background(name: &'static str, lifecycle: &Lifecycle) -> Self {
        Self { lifecycle: lifecycle.clone(), name, kind: Kind::Background }
    }
}

tokio::task_local! {
    /// Ends the task that runs.
    static END: TaskEnd;
}

/// Ends one task of hyper, and nothing beside it: of a server that is one HTTP/2 stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskEnd(Arc<Notify>);

impl TaskEnd {
    /// Of the running task; none for what runs on a connection's own.
    pub(crate) fn of_this() -> Option<Self> {
        END.try_with(Self::clone).ok()
    }

    /// Drops what the task runs, at its next turn.
    pub(crate) fn end(&self) {
        self.0.notify_one();
    }
}

impl<F> hyper::rt::Executor<F> for LifecycleExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        match self.kind {
            Kind::Foreground => {
                let end = TaskEnd::default();
                let task = END.scope(end.clone(), async move {
                    tokio::select! {
                        _ = future => {}
                        () = end.0.notified() => {}
                    }
                });
                self.lifecycle.spawn(self.name, task);
            }
            Kind::Background => self.lifecycle.spawn_background(self.name, async move {
                future.await;
            }),
        }
    }
}
