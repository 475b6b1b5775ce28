//! How many connections or requests each peer of a listener has, so that one cannot take them all.
//! Not an identity: addresses and user ids are only good enough to count by.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open connections of a listener by peer, or its requests, or those at an upstream.
#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    open: Mutex<HashMap<Crowder, usize>>,
}

/// Whom connections are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Crowder {
    /// An address, or for IPv6 the network that one host gets.
    Network(IpAddr),
    /// A user of this machine.
    User(u32),
}

/// The place of one of them; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    crowder: Crowder,
}

impl Crowder {
    /// Who connects from this address; nobody in particular on this machine itself.
    pub(crate) fn at(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        if address.is_loopback() {
            return None;
        }
        match address {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Some(Self::Network(IpAddr::from([a, b, c, d, 0, 0, 0, 0])))
            }
            IpAddr::V4(_) => Some(Self::Network(address)),
        }
    }

    /// The user with this id, unless it is `ours` or root, who could stop us anyway.
    pub(super) fn user(id: u32, ours: u32) -> Option<Self> {
        (id != 0 && id != ours).then_some(Self::User(id))
    }
}

impl Crowd {
    /// A crowd with at most this many of each peer.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// A place for one more; none if this peer has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, crowder: Crowder) -> Option<Place> {
        let mut open = self.open();
        let count = open.entry(crowder).or_default();
        if *count >= self.most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place { crowd: Arc::clone(self), crowder })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Crowder, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.crowd.open().entry(self.crowder) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Option<Crowder> {
        Crowder::at(address.parse().unwrap())
    }

    #[test]
    fn one_peer_cannot_take_the_places_of_another() {
        let crowd = Crowd::new(2);
        let (greedy, other) = (at("192.0.2.1").unwrap(), at("192.0.2.2").unwrap());
        let first = crowd.enter(greedy);
        let second = crowd.enter(greedy);
        assert!(first.is_some() && second.is_some() && crowd.enter(greedy).is_none());
        assert!(crowd.enter(other).is_some());
        drop(first);
        assert!(crowd.enter(greedy).is_some(), "a closed connection makes room");
        drop(second);
        assert!(crowd.open().is_empty(), "who has gone is forgotten");
    }

    #[test]
    fn addresses_of_one_host_count_together() {
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }

    #[test]
    fn this_machine_root_and_our_own_user_are_not_counted() {
        assert_eq!((at("127.0.0.9"), at("::1"), at("::ffff:127.0.0.1")), (None, None, None));
        assert_eq!((Crowder::user(0, 1000), Crowder::user(1000, 1000)), (None, None));
        assert_eq!(Crowder::user(1001, 1000), Some(Crowder::User(1001)));
        assert_eq!(Crowder::user(1001, 0), Some(Crowder::User(1001)));
    }
}
