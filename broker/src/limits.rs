//! Limits before work: how much one source, and all of them, may ask.
//! Not here: limits of connections and bodies, which the server and the route keep.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use symbolon_http::server::{ConnectionInfo, Peer};
use tokio::time::Instant;

use crate::config::LimitsConfig;
use crate::crowd::{Crowd, Place};
use crate::refusal::Refusal;

/// So many sources are told apart; those beyond share one allowance.
const SOURCES: usize = 8192;
/// One source may have at most one in so many of all requests under way: slow ones must not keep the others out.
const SHARE: usize = 8;

/// Bodies that may be on their way for each request that may be under way: an honest one arrives with its head.
const ARRIVING: usize = 2;

/// Lets requests in, or not. Each listener has a door of its own: what strangers do on the network must not keep the
/// programs of this machine out.
#[derive(Debug)]
pub(crate) struct Gate {
    network: Door,
    socket: Door,
}

#[derive(Debug)]
struct Door {
    rates: Mutex<Rates>,
    arriving: Crowd<Source>,
    under_way: Crowd<Source>,
}

/// A request whose body may arrive now. It has no place among those under way yet, so that a slow one takes none.
#[derive(Debug)]
pub(crate) struct Arrival {
    _arriving: Place<Source>,
    source: Source,
    under_way: Crowd<Source>,
}

/// A request that was let in; it counts as under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    _under_way: Place<Source>,
}

#[derive(Debug)]
struct Rates {
    interval: Duration,
    burst: u32,
    sources: HashMap<Source, Instant>,
}

/// Who counts as one: an address, an IPv6 /64 (one customer), a local user, or all that did not fit the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4(Ipv4Addr),
    V6(u64),
    User(u32),
    Others,
}

impl Source {
    /// Whom a request counts for: its source if that can be told, else who connected.
    fn of(connection: &ConnectionInfo, source: Option<IpAddr>) -> Self {
        match connection.peer() {
            Peer::Unix(peer) => Self::User(peer.uid()),
            Peer::Tcp(address) => match source.unwrap_or(address.ip()).to_canonical() {
                IpAddr::V4(address) => Self::V4(address),
                IpAddr::V6(address) => Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
            },
        }
    }
}

impl Gate {
    /// A gate with these limits, for each of its doors.
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        Self { network: Door::new(limits), socket: Door::new(limits) }
    }

    /// Lets the body of a request arrive.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] or [`Refusal::Busy`].
    pub(crate) fn arrive(
        &self,
        connection: &ConnectionInfo,
        source: Option<IpAddr>,
    ) -> Result<Arrival, Refusal> {
        let door = match connection.peer() {
            Peer::Unix(_) => &self.socket,
            Peer::Tcp(_) => &self.network,
        };
        door.arrive(Source::of(connection, source))
    }
}

impl Door {
    fn new(limits: &LimitsConfig) -> Self {
        let rates = Rates {
            interval: Duration::from_secs(1) / limits.requests_per_second.max(1),
            burst: limits.burst.max(1),
            sources: HashMap::new(),
        };
        let most = usize::try_from(limits.concurrent_requests.max(1)).unwrap_or(usize::MAX);
        Self {
            rates: Mutex::new(rates),
            arriving: crowd(most.saturating_mul(ARRIVING)),
            under_way: crowd(most),
        }
    }

    fn arrive(&self, source: Source) -> Result<Arrival, Refusal> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = rates.allow(source, Instant::now());
        drop(rates);
        if !allowed {
            return Err(Refusal::RateLimited);
        }
        let arriving = self.arriving.enter(source).ok_or(Refusal::Busy)?;
        Ok(Arrival { _arriving: arriving, source, under_way: self.under_way.clone() })
    }
}

impl Arrival {
    /// Lets the request in, once it has arrived.
    ///
    /// # Errors
    /// [`Refusal::Busy`].
    pub(crate) fn begin(self) -> Result<Admission, Refusal> {
        let under_way = self.under_way.enter(self.source).ok_or(Refusal::Busy)?;
        Ok(Admission { _under_way: under_way })
    }
}

/// A crowd of at most so many, and of one source at most its share of them.
fn crowd(most: usize) -> Crowd<Source> {
    Crowd::new(most, most.div_ceil(SHARE))
}

impl Rates {
    /// Each source has a time until which its allowance is spent; a request moves it on by one interval, and it may
    /// run ahead of now by as many as the burst (the generic cell rate algorithm).
    fn allow(&mut self, source: Source, now: Instant) -> bool {
        let source = self.slot(source, now);
        let ahead = self.interval * self.burst;
        let spent = self.sources.get(&source).copied().unwrap_or(now).max(now);
        let next = spent + self.interval;
        let allowed = next <= now + ahead;
        if allowed {
            self.sources.insert(source, next);
        }
        allowed
    }

    /// Memory is bounded: sources that are quiet again are forgotten, and if that is not enough, new ones share.
    fn slot(&mut self, source: Source, now: Instant) -> Source {
        if self.sources.len() < SOURCES || self.sources.contains_key(&source) {
            return source;
        }
        self.sources.retain(|_, spent| *spent > now);
        if self.sources.len() < SOURCES { source } else { Source::Others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_second: u32, burst: u32) -> Rates {
        Rates { interval: Duration::from_secs(1) / per_second, burst, sources: HashMap::new() }
    }

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let (mut rates, start) = (rates(10, 5), Instant::now());
        let source = Source::User(1);
        let granted = (0..20).filter(|_| rates.allow(source, start)).count();
        assert_eq!(granted, 5);
        assert!(rates.allow(source, start + Duration::from_millis(100)));
        assert!(!rates.allow(source, start + Duration::from_millis(100)));
        assert!(rates.allow(Source::User(2), start));
    }

    #[test]
    fn sources_from_everywhere_do_not_grow_the_table() {
        let (mut rates, now) = (rates(1, 1), Instant::now());
        for source in 0..20_000 {
            rates.allow(Source::User(source), now);
        }
        assert_eq!(rates.sources.len(), SOURCES + 1);
        assert!(!rates.allow(Source::User(30_000), now), "newcomers share one allowance");
        assert!(
            rates.allow(Source::User(30_000), now + Duration::from_secs(2)),
            "quiet sources are forgotten"
        );
    }

    fn door(concurrent_requests: u32) -> Door {
        Door::new(&LimitsConfig { concurrent_requests, ..LimitsConfig::default() })
    }

    #[test]
    fn bodies_on_their_way_take_no_place_among_the_requests_under_way() {
        let door = door(8);
        let slow: Vec<Arrival> = (0..20).filter_map(|user| door.arrive(Source::User(user)).ok()).collect();
        assert_eq!(slow.len(), 16, "and there is an end to them too");
        assert_eq!(door.under_way.size(), 0);
        let mut slow = slow.into_iter();
        let admissions: Vec<Admission> = slow.by_ref().filter_map(|arrival| arrival.begin().ok()).collect();
        assert_eq!((admissions.len(), door.under_way.size()), (8, 8));
        assert_eq!(door.arriving.size(), 0, "who has arrived is not on the way any more");
        drop(admissions);
        assert_eq!(door.under_way.size(), 0);
    }

    #[test]
    fn a_crowd_on_the_network_does_not_keep_the_programs_of_this_machine_out() {
        let gate = Gate::new(&LimitsConfig { concurrent_requests: 1, ..LimitsConfig::default() });
        let from = |port: u16| {
            let address = std::net::SocketAddr::from(([192, 0, 2, 1], port));
            ConnectionInfo::new(Peer::Tcp(address), false)
        };
        let _crowd: Vec<Arrival> = (0..8).filter_map(|port| gate.arrive(&from(port), None).ok()).collect();
        assert!(matches!(gate.arrive(&from(9), None), Err(Refusal::Busy)));
        assert!(gate.socket.arrive(Source::User(1)).is_ok());
    }
}
