//! Lets hyper start its tasks under a lifecycle.
//! Not for our own tasks, which have names of their own.

use std::future::Future;

use symbolon_daemon::Lifecycle;

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
    /// Tasks that a drain waits for.
    pub(crate) fn foreground(name: &'static str, lifecycle: &Lifecycle) -> Self {
        Self { lifecycle: lifecycle.clone(), name, kind: Kind::Foreground }
    }

    /// Tasks that end after a drain.
    pub(crate) fn background(name: &'static str, lifecycle: &Lifecycle) -> Self {
        Self { lifecycle: lifecycle.clone(), name, kind: Kind::Background }
    }
}

impl<F> hyper::rt::Executor<F> for LifecycleExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let task = async move {
            future.await;
        };
        match self.kind {
            Kind::Foreground => self.lifecycle.spawn(self.name, task),
            Kind::Background => self.lifecycle.spawn_background(self.name, task),
        }
    }
}
