//! How many requests each upstream has under way, so that one that hangs cannot take all that we have.
//! Not here: a single place (`places.rs` of the crate).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::places;
use crate::server::Crowder;

/// The place of one request at its upstream; free again when it is dropped.
pub(crate) use crate::places::Place;

/// The places at all upstreams of a forwarder.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    /// By authority. It never shrinks: whatever is in it was configured.
    upstreams: RwLock<HashMap<String, Arc<places::Places>>>,
}

impl Places {
    /// At most this many at each upstream.
    pub(super) fn new(most: usize) -> Self {
        Self { most, upstreams: RwLock::default() }
    }

    /// A place at this upstream, if one is free. A peer whose requests are counted has half of them at most.
    pub(super) fn enter(&self, upstream: &str, peer: Option<Crowder>) -> Option<Place> {
        self.at(upstream).enter(peer)
    }

    fn at(&self, upstream: &str) -> Arc<places::Places> {
        // A panic elsewhere cannot leave a number that is wrong, so a poisoned lock is as good as any.
        if let Some(known) = self.upstreams.read().unwrap_or_else(PoisonError::into_inner).get(upstream) {
            return Arc::clone(known);
        }
        let mut upstreams = self.upstreams.write().unwrap_or_else(PoisonError::into_inner);
        let places = upstreams.entry(upstream.to_owned());
        let share = self.most.div_ceil(2);
        Arc::clone(places.or_insert_with(|| Arc::new(places::Places::new(self.most, Some(share)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_upstream_does_not_take_the_places_of_another() {
        let places = Places::new(2);
        let enter = |upstream| places.enter(upstream, None);
        let held = [enter("a:1"), enter("a:1")];
        assert!(held.iter().all(Option::is_some) && enter("a:1").is_none());
        assert!(enter("b:1").is_some());
        drop(held);
        assert!(enter("a:1").is_some());
    }

    #[test]
    fn one_peer_does_not_take_all_places_of_an_upstream() {
        let places = Places::new(2);
        let peer = |address: &str| Crowder::at(address.parse().unwrap());
        let held = places.enter("a:1", peer("192.0.2.1"));
        assert!(held.is_some() && places.enter("a:1", peer("192.0.2.1")).is_none());
        assert!(places.enter("b:1", peer("192.0.2.1")).is_some());
        assert!(places.enter("a:1", peer("192.0.2.2")).is_some());
    }
}
