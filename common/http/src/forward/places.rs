//! How many requests each upstream has under way, so that one that hangs cannot take all that we have.
//! Not a queue: who finds no place is refused at once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The place of one request at its upstream; free again when it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// The places at all upstreams of a forwarder.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// By authority. It never shrinks: whatever is in it was configured.
    upstreams: RwLock<HashMap<String, Arc<Semaphore>>>,
}

impl Places {
    /// At most this many at each upstream.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.clamp(1, Semaphore::MAX_PERMITS), upstreams: RwLock::default() }
    }

    /// A place at this upstream, if one is free.
    pub(super) fn enter(&self, upstream: &str) -> Option<Place> {
        self.at(upstream).try_acquire_owned().ok()
    }

    fn at(&self, upstream: &str) -> Arc<Semaphore> {
        // A panic elsewhere cannot leave a number that is wrong, so a poisoned lock is as good as any.
        if let Some(known) = self.upstreams.read().unwrap_or_else(PoisonError::into_inner).get(upstream) {
            return Arc::clone(known);
        }
        let mut upstreams = self.upstreams.write().unwrap_or_else(PoisonError::into_inner);
        let places = upstreams.entry(upstream.to_owned());
        Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(self.most))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_upstream_does_not_take_the_places_of_another() {
        let places = Places::new(2);
        let held = [places.enter("a:1"), places.enter("a:1")];
        assert!(held.iter().all(Option::is_some) && places.enter("a:1").is_none());
        assert!(places.enter("b:1").is_some());
        drop(held);
        assert!(places.enter("a:1").is_some());
    }
}
