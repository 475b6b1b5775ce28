//! Limits before work: how much one source, and all of them, may ask.
//! Not here: limits of connections and bodies, which the server and the route keep.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_http::server::{ConnectionInfo, Peer};
use tokio::time::Instant;

use crate::config::LimitsConfig;
use crate::refusal::Refusal;

/// So many sources are told apart; those beyond share one allowance.
const SOURCES: usize = 8192;
/// One source may have at most one in so many of all requests under way: slow ones must not keep the others out.
const SHARE: usize = 8;

/// Lets requests in, or not.
#[derive(Debug)]
pub(crate) struct Gate {
    rates: Mutex<Rates>,
    under_way: Arc<Mutex<UnderWay>>,
}

/// A request that was let in; it counts as under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    source: Source,
    under_way: Arc<Mutex<UnderWay>>,
}

#[derive(Debug)]
struct UnderWay {
    most: usize,
    most_of_one: usize,
    all: usize,
    sources: HashMap<Source, usize>,
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
    fn of(connection: &ConnectionInfo) -> Self {
        match connection.peer() {
            Peer::Unix(peer) => Self::User(peer.uid()),
            Peer::Tcp(address) => match address.ip().to_canonical() {
                IpAddr::V4(address) => Self::V4(address),
                IpAddr::V6(address) => Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
            },
        }
    }
}

impl Gate {
    /// A gate with these limits.
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        let rates = Rates {
            interval: Duration::from_secs(1) / limits.requests_per_second.max(1),
            burst: limits.burst.max(1),
            sources: HashMap::new(),
        };
        let most = usize::try_from(limits.concurrent_requests.max(1)).unwrap_or(usize::MAX);
        let most_of_one = most.div_ceil(SHARE);
        let under_way = UnderWay { most, most_of_one, all: 0, sources: HashMap::new() };
        Self { rates: Mutex::new(rates), under_way: Arc::new(Mutex::new(under_way)) }
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] or [`Refusal::Busy`].
    pub(crate) fn admit(&self, connection: &ConnectionInfo) -> Result<Admission, Refusal> {
        let source = Source::of(connection);
        if !lock(&self.rates).allow(source, Instant::now()) {
            return Err(Refusal::RateLimited);
        }
        if !lock(&self.under_way).enter(source) {
            return Err(Refusal::Busy);
        }
        Ok(Admission { source, under_way: Arc::clone(&self.under_way) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Admission {
    fn drop(&mut self) {
        lock(&self.under_way).leave(self.source);
    }
}

impl UnderWay {
    fn enter(&mut self, source: Source) -> bool {
        let of_one = self.sources.get(&source).copied().unwrap_or_default();
        if self.all >= self.most || of_one >= self.most_of_one {
            return false;
        }
        self.all = self.all.saturating_add(1);
        self.sources.insert(source, of_one.saturating_add(1));
        true
    }

    fn leave(&mut self, source: Source) {
        self.all = self.all.saturating_sub(1);
        match self.sources.get_mut(&source) {
            Some(of_one) if *of_one > 1 => *of_one = of_one.saturating_sub(1),
            _ => {
                self.sources.remove(&source);
            }
        }
    }
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

    #[test]
    fn one_source_cannot_hold_all_that_may_be_under_way() {
        let mut under_way = UnderWay { most: 16, most_of_one: 2, all: 0, sources: HashMap::new() };
        let granted = (0..16).filter(|_| under_way.enter(Source::User(1))).count();
        assert_eq!(granted, 2);
        for user in 2..20 {
            under_way.enter(Source::User(user));
        }
        assert_eq!(under_way.all, 16);
        assert!(!under_way.enter(Source::User(30)));
        under_way.leave(Source::User(1));
        assert!(under_way.enter(Source::User(30)));
        under_way.leave(Source::User(1));
        assert!(!under_way.sources.contains_key(&Source::User(1)), "nothing of it is left");
    }
}
