//! Whether the program may be sent work: it may, once nobody blocks it.
//! Not liveness: a program that waits for a key set is alive and must not be restarted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A set of things that still stand between the program and its work.
///
/// Clones share the set. A fresh one is ready: block it before anybody can ask.
#[derive(Debug, Clone)]
pub struct Readiness {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    waiting: Mutex<Waiting>,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    names: BTreeMap<u64, String>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// A readiness that nothing blocks yet.
    #[must_use]
    pub fn new() -> Self {
        let (ready, _) = watch::channel(true);
        Self { inner: Arc::new(Inner { waiting: Mutex::default(), ready }) }
    }

    /// Blocks readiness until the answer is dropped. `name` is what `/readyz?verbose` shows.
    #[must_use = "dropping the guard at once makes the program ready at once"]
    pub fn block(&self, name: impl Into<String>) -> BlockReady {
        let mut waiting = self.inner.lock();
        let id = waiting.next;
        waiting.next = id.wrapping_add(1);
        waiting.names.insert(id, name.into());
        self.inner.ready.send_replace(false);
        BlockReady { id, readiness: self.clone() }
    }

    /// Whether nothing blocks.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.inner.ready.borrow()
    }

    /// The names of what still blocks, oldest first.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<String> {
        self.inner.lock().names.values().cloned().collect()
    }

    /// Waits until nothing blocks; at once if nothing does.
    pub async fn ready(&self) {
        let mut changes = self.inner.ready.subscribe();
        // INVARIANT: `self` keeps the sender alive, so the channel cannot close while we wait.
        let _ = changes.wait_for(|ready| *ready).await;
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps its program from being ready until it is dropped.
#[derive(Debug)]
pub struct BlockReady {
    id: u64,
    readiness: Readiness,
}

impl Drop for BlockReady {
    fn drop(&mut self) {
        let inner = &self.readiness.inner;
        let mut waiting = inner.lock();
        let name = waiting.names.remove(&self.id).unwrap_or_default();
        let last = waiting.names.is_empty();
        if last {
            inner.ready.send_replace(true);
        }
        drop(waiting);
        tracing::debug!(
            event.name = "readiness.unblocked",
            blocker = name,
            ready = last,
            "no longer waiting"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_guard_to_go_makes_it_ready() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let keys = readiness.block("keys");
        let store = readiness.block("store");
        assert_eq!(readiness.waiting_for(), ["keys", "store"]);
        drop(keys);
        assert!(!readiness.is_ready());
        assert_eq!(readiness.waiting_for(), ["store"]);
        drop(store);
        assert!(readiness.is_ready());
    }

    #[test]
    fn two_guards_of_one_name_count_twice() {
        let readiness = Readiness::new();
        let one = readiness.block("issuer");
        let two = readiness.block("issuer");
        drop(one);
        assert!(!readiness.is_ready());
        drop(two);
        assert!(readiness.is_ready());
    }

    #[tokio::test]
    async fn waiting_ends_when_the_guard_goes() {
        let readiness = Readiness::new();
        let guard = readiness.block("keys");
        let (ready, ()) = tokio::join!(
            async {
                readiness.ready().await;
                readiness.is_ready()
            },
            async { drop(guard) }
        );
        assert!(ready);
    }
}
