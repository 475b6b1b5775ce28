//! Places for requests, of a listener or at an upstream: how many there are, and how many one peer may have.
//! Not a queue: who finds no place is refused at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::{self, Crowd, Crowder};

/// Places that are taken and given back.
#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    /// By peer; none if one may have them all.
    crowd: Option<Arc<Crowd>>,
}

/// The place of one request; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _one: OwnedSemaphorePermit,
    _of_peer: Option<server::Place>,
}

impl Places {
    /// So many places, and of one peer that is counted at most `per_peer`.
    pub(crate) fn new(most: usize, per_peer: Option<usize>) -> Self {
        let all = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { all, crowd: per_peer.map(Crowd::new) }
    }

    /// A place, if one is free for this peer; for nobody in particular if one is free at all.
    pub(crate) fn enter(&self, peer: Option<Crowder>) -> Option<Place> {
        let one = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let of_peer = match (&self.crowd, peer) {
            (Some(crowd), Some(peer)) => Some(crowd.enter(peer)?),
            (Some(_) | None, _) => None,
        };
        Some(Place { _one: one, _of_peer: of_peer })
    }

    /// The peer, if it may not have all places.
    pub(crate) fn limited(&self, peer: Option<Crowder>) -> Option<Crowder> {
        self.crowd.as_ref().and(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_has_its_share_of_the_places_and_leaves_the_others_theirs() {
        let peer = |address: &str| Crowder::at(address.parse().unwrap());
        let (greedy, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        let places = Places::new(4, Some(2));
        let mut held: Vec<Place> = (0..4).filter_map(|_| places.enter(greedy)).collect();
        assert_eq!(held.len(), 2);
        let others = [places.enter(other), places.enter(None)];
        assert!(others.iter().all(Option::is_some) && places.enter(None).is_none());
        held.pop();
        assert!(places.enter(greedy).is_some());
        let unlimited = Places::new(4, None);
        assert_eq!((0..4).filter_map(|_| unlimited.enter(greedy)).count(), 4);
        assert_eq!((unlimited.limited(greedy), places.limited(greedy)), (None, greedy));
    }
}
