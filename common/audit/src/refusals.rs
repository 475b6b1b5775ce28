//! Refusals before attestation, counted per reason, source prefix and ten seconds.
//! Garbage from strangers becomes a few records, so that it can neither fill the disk nor stop the fleet.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use symbolon_identity::{ReasonCode, Timestamp};

use crate::record::{Event, Outcome, Record};

const WINDOW_SECONDS: u64 = 10;
/// So many counters of one window are told apart by prefix; the rest is told per reason alone, so that strangers from
/// everywhere cannot fill the disk by way of their counters.
const TOLD: usize = 64;

/// Where refused requests came from, coarsely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourcePrefix {
    /// The first 24 bits of an IPv4 address.
    V4(Ipv4Addr),
    /// The first 48 bits of an IPv6 address.
    V6(Ipv6Addr),
    /// The Unix socket.
    Local,
    /// All that came after the table was full, and all but the most frequent ones.
    Others,
}

impl SourcePrefix {
    /// The prefix of an address; `None` is the Unix socket.
    #[must_use]
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8))),
            Some(IpAddr::V6(address)) => Self::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80))),
            None => Self::Local,
        }
    }
}

impl fmt::Display for SourcePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(prefix) => write!(f, "{prefix}/24"),
            Self::V6(prefix) => write!(f, "{prefix}/48"),
            Self::Local => f.write_str("unix"),
            Self::Others => f.write_str("others"),
        }
    }
}

/// How often one reason was given to one prefix within ten seconds, or longer if it could not be put on record then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalCount {
    /// The start of the ten seconds.
    pub since: Timestamp,
    /// Their end.
    pub until: Timestamp,
    /// The reason.
    pub reason: ReasonCode,
    /// The prefix.
    pub source: SourcePrefix,
    /// How often.
    pub count: u64,
}

impl RefusalCount {
    /// The record of it.
    #[must_use]
    pub fn record(&self) -> Record {
        let mut record = Record::new(Event::RefusalsCounted, self.since, Outcome::Denied);
        record.reason = Some(self.reason);
        record.source = Some(self.source.to_string());
        let seconds = self.until.saturating_since(self.since).as_secs();
        record.with_detail("count", self.count).with_detail("seconds", seconds)
    }
}

type Key = (Timestamp, ReasonCode, SourcePrefix);

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    until: Timestamp,
    count: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.until = self.until.max(other.until);
        self.count = self.count.saturating_add(other.count);
    }
}

/// The counters, bounded in number.
#[derive(Debug)]
pub struct RefusalCounters {
    capacity: usize,
    counts: Mutex<BTreeMap<Key, Tally>>,
}

impl RefusalCounters {
    /// At most `capacity` different counters at a time; what comes after is counted per reason alone.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, counts: Mutex::new(BTreeMap::new()) }
    }

    /// Counts one refusal.
    pub fn count(&self, reason: ReasonCode, source: Option<IpAddr>, now: Timestamp) {
        let since = window_of(now);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (since, reason, SourcePrefix::of(source));
        if counts.len() >= self.capacity && !counts.contains_key(&key) {
            key.2 = SourcePrefix::Others;
        }
        counts.entry(key).or_default().add(Tally { until: end_of(since), count: 1 });
    }

    /// Takes back counts that could not be put on record; they are taken again with the next ones. When there are too
    /// many to keep apart, only their reasons are.
    pub fn restore(&self, taken: Vec<RefusalCount>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let too_many = counts.len().saturating_add(taken.len()) > self.capacity;
        let first = taken.iter().map(|count| count.since).min().unwrap_or_default();
        for RefusalCount { since, until, reason, source, count } in taken {
            let key = if too_many { (first, reason, SourcePrefix::Others) } else { (since, reason, source) };
            counts.entry(key).or_default().add(Tally { until, count });
        }
    }

    /// Takes the counts of the ten seconds that are over at `now`.
    #[must_use]
    pub fn take_finished(&self, now: Timestamp) -> Vec<RefusalCount> {
        self.take_before(window_of(now))
    }

    /// Takes all counts: for the end of the program.
    #[must_use]
    pub fn take_all(&self) -> Vec<RefusalCount> {
        self.take_before(Timestamp::MAX)
    }

    fn take_before(&self, end: Timestamp) -> Vec<RefusalCount> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (finished, unfinished): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *counts).into_iter().partition(|((since, ..), _)| *since < end);
        counts.extend(unfinished);
        drop(counts);
        let mut windows: BTreeMap<Timestamp, Vec<RefusalCount>> = BTreeMap::new();
        for ((since, reason, source), Tally { until, count }) in finished {
            windows.entry(since).or_default().push(RefusalCount { since, until, reason, source, count });
        }
        windows.into_values().flat_map(told).collect()
    }
}

/// The most frequent counters of one window, and the rest per reason.
fn told(window: Vec<RefusalCount>) -> Vec<RefusalCount> {
    let (mut told, mut rest): (Vec<_>, Vec<_>) =
        window.into_iter().partition(|count| count.source != SourcePrefix::Others);
    told.sort_by_key(|count| Reverse(count.count));
    rest.extend(told.split_off(told.len().min(TOLD)));
    told.sort_by_key(|count| (count.reason, count.source));
    let mut others: BTreeMap<ReasonCode, RefusalCount> = BTreeMap::new();
    for count in rest {
        let RefusalCount { until, count: more, .. } = count;
        let other = others.entry(count.reason).or_insert(RefusalCount {
            source: SourcePrefix::Others,
            count: 0,
            ..count
        });
        other.until = other.until.max(until);
        other.count = other.count.saturating_add(more);
    }
    told.extend(others.into_values());
    told
}

fn end_of(window: Timestamp) -> Timestamp {
    window.saturating_add(Duration::from_secs(WINDOW_SECONDS))
}

fn window_of(now: Timestamp) -> Timestamp {
    Timestamp::from_secs_saturating(now.as_secs() - now.as_secs() % WINDOW_SECONDS)
}

#[cfg(test)]
mod tests {
    use symbolon_identity::{ReasonCode, Timestamp};

    use super::{RefusalCounters, SourcePrefix};

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds).unwrap()
    }

    #[test]
    fn refusals_are_counted_per_reason_prefix_and_ten_seconds() {
        let counters = RefusalCounters::new(100);
        for (address, seconds) in
            [("192.0.2.1", 100), ("192.0.2.200", 109), ("192.0.3.1", 109), ("192.0.2.1", 110)]
        {
            counters.count(ReasonCode::BadSignature, Some(address.parse().unwrap()), at(seconds));
        }
        counters.count(ReasonCode::Malformed, None, at(105));
        let finished = counters.take_finished(at(112));
        let shown: Vec<_> =
            finished.iter().map(|c| (c.reason.as_str(), c.source.to_string(), c.count)).collect();
        assert_eq!(
            shown,
            [
                ("bad_signature", "192.0.2.0/24".to_owned(), 2),
                ("bad_signature", "192.0.3.0/24".to_owned(), 1),
                ("malformed", "unix".to_owned(), 1),
            ]
        );
        assert_eq!(counters.take_finished(at(119)), []);
        assert_eq!(counters.take_all().len(), 1);
    }

    #[test]
    fn strangers_from_everywhere_do_not_grow_the_table() {
        let counters = RefusalCounters::new(10);
        for n in 0..5000_u32 {
            let address = std::net::Ipv4Addr::from_bits(n << 8);
            counters.count(ReasonCode::Malformed, Some(address.into()), at(100));
        }
        let counts = counters.take_all();
        assert_eq!(counts.len(), 11);
        assert_eq!(counts.iter().map(|c| c.count).sum::<u64>(), 5000);
        assert_eq!(counts.iter().filter(|c| c.source == SourcePrefix::Others).count(), 1);
    }

    #[test]
    fn of_one_window_the_most_frequent_are_told_and_the_rest_per_reason() {
        let counters = RefusalCounters::new(4096);
        for n in 0..1000_u32 {
            let address = std::net::Ipv4Addr::from_bits(n << 8);
            for _ in 0..=(n / 900) {
                counters.count(ReasonCode::Malformed, Some(address.into()), at(100));
            }
            counters.count(ReasonCode::BadSignature, Some(address.into()), at(100));
        }
        let counts = counters.take_all();
        assert_eq!(counts.len(), 64 + 2, "two reasons");
        assert_eq!(counts.iter().map(|c| c.count).sum::<u64>(), 2100, "none is lost");
        let told = counts.iter().filter(|c| c.source != SourcePrefix::Others);
        assert!(told.clone().all(|c| c.count == 2), "{:?}", told.collect::<Vec<_>>());
    }

    #[test]
    fn what_could_not_be_put_on_record_is_taken_again_and_stays_bounded() {
        let counters = RefusalCounters::new(20);
        for window in 0..100 {
            for n in 0..10_u32 {
                let address = std::net::Ipv4Addr::from_bits(n << 8);
                counters.count(ReasonCode::Malformed, Some(address.into()), at(100 + 10 * window));
            }
            let taken = counters.take_finished(at(110 + 10 * window));
            assert!(taken.len() <= 30, "{}", taken.len());
            counters.restore(taken);
        }
        let counts = counters.take_all();
        assert_eq!(counts.iter().map(|c| c.count).sum::<u64>(), 1000, "none is lost");
        assert_eq!((counts[0].since, counts[0].until > at(1000)), (at(100), true));
    }

    #[test]
    fn prefixes_forget_the_host() {
        let prefix = |text: &str| SourcePrefix::of(Some(text.parse().unwrap())).to_string();
        assert_eq!(prefix("2001:db8:1:2::3"), "2001:db8:1::/48");
        assert_eq!(prefix("::ffff:192.0.2.7"), "192.0.2.0/24");
    }
}
