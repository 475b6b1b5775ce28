//! Refusals that one proven caller gets again and again: a few are put on record, the others are counted.
//! Not here: refusals of strangers, which are counted from the first one on (`refusals.rs`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_identity::{ReasonCode, Timestamp};

use crate::{Actor, Event, Outcome, Record, Target};

const WINDOW: Duration = Duration::from_secs(10);
/// So many refusals of one kind are put on record within ten seconds.
const RECORDED: u64 = 20;
/// So many kinds are told apart within ten seconds; those beyond count as one.
const KINDS: usize = 8192;

/// The counters of ten seconds.
#[derive(Debug, Default)]
pub struct Repeats {
    seen: Mutex<BTreeMap<Kind, Seen>>,
}

/// Who is refused what: with the reason, all that makes refusals alike. The target is one that the configuration names, or
/// nothing, so that a caller cannot make each refusal another kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repeated {
    window: Timestamp,
    actor: Option<String>,
    provider: Option<String>,
    resource: Option<String>,
    route: Option<String>,
}

type Kind = (Repeated, ReasonCode);

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    all: u64,
    unrecorded: u64,
}

/// Refusals of one kind that are not on record one by one.
#[derive(Debug)]
pub struct Repetition {
    kind: Kind,
    count: u64,
}

impl Repeated {
    /// Whatever this caller is refused in these ten seconds.
    #[must_use]
    pub fn by(actor: &str, now: Timestamp) -> Self {
        let seconds = now.as_secs();
        let window = Timestamp::from_secs_saturating(seconds - seconds % WINDOW.as_secs());
        Self { actor: Some(actor.to_owned()), ..Self::anybody(window) }
    }

    /// The same caller as this provider or issuer names it.
    #[must_use]
    pub fn of(self, provider: &str) -> Self {
        Self { provider: Some(provider.to_owned()), ..self }
    }

    /// At this resource only.
    #[must_use]
    pub fn at_resource(self, resource: Option<&str>) -> Self {
        Self { resource: resource.map(str::to_owned), ..self }
    }

    /// On this route only.
    #[must_use]
    pub fn on_route(self, route: Option<&str>) -> Self {
        Self { route: route.map(str::to_owned), ..self }
    }

    fn anybody(window: Timestamp) -> Self {
        Self { window, actor: None, provider: None, resource: None, route: None }
    }
}

impl Repeats {
    /// Whether enough refusals of this kind are on record.
    #[must_use]
    pub fn are_enough(&self, whom: &Repeated, reason: ReasonCode) -> bool {
        let seen = self.lock();
        // Most of the time nobody is refused anything.
        !seen.is_empty() && seen.get(&slot(&seen, whom, reason)).is_some_and(|seen| seen.all >= RECORDED)
    }

    /// Counts a refusal that was answered.
    pub fn count(&self, whom: &Repeated, reason: ReasonCode, is_recorded: bool) {
        let mut seen = self.lock();
        let kind = slot(&seen, whom, reason);
        let entry = seen.entry(kind).or_default();
        entry.all = entry.all.saturating_add(1);
        entry.unrecorded = entry.unrecorded.saturating_add(u64::from(!is_recorded));
    }

    /// Takes what was only counted in the ten seconds that are over at `now`.
    #[must_use]
    pub fn take_finished(&self, now: Timestamp) -> Vec<Repetition> {
        self.take(|window| window.saturating_add(WINDOW) <= now)
    }

    /// Takes all that was only counted: for the end of the program.
    #[must_use]
    pub fn take_all(&self) -> Vec<Repetition> {
        self.take(|_| true)
    }

    /// Takes back what could not be put on record; it is taken again with the next.
    pub fn restore(&self, taken: Vec<Repetition>) {
        let mut seen = self.lock();
        for Repetition { kind: (whom, reason), count } in taken {
            let kind = slot(&seen, &whom, reason);
            let entry = seen.entry(kind).or_default();
            entry.unrecorded = entry.unrecorded.saturating_add(count);
        }
    }

    fn take(&self, is_over: impl Fn(Timestamp) -> bool) -> Vec<Repetition> {
        let mut seen = self.lock();
        let (over, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *seen).into_iter().partition(|((whom, _), _)| is_over(whom.window));
        seen.extend(open);
        let counted = over.into_iter().filter(|(_, seen)| seen.unrecorded > 0);
        counted.map(|(kind, seen)| Repetition { kind, count: seen.unrecorded }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory is bounded: what comes after the table is full counts as one, in the oldest window that is kept.
fn slot(seen: &BTreeMap<Kind, Seen>, whom: &Repeated, reason: ReasonCode) -> Kind {
    let kind = (whom.clone(), reason);
    if seen.len() < KINDS || seen.contains_key(&kind) {
        return kind;
    }
    let window = seen.keys().next().map_or(whom.window, |(first, _)| first.window);
    (Repeated::anybody(window), reason)
}

impl Repetition {
    /// The record of it.
    #[must_use]
    pub fn record(&self) -> Record {
        let (Repeated { window, actor, provider, resource, route }, reason) = &self.kind;
        let mut record = Record::new(Event::RefusalsCounted, *window, Outcome::Denied);
        record.reason = Some(*reason);
        record.actor = actor.clone().map(|id| Actor { id, provider: provider.clone(), ..Actor::default() });
        record.target = (resource.is_some() || route.is_some()).then(|| Target {
            resource: resource.clone().unwrap_or_default(),
            route: route.clone(),
            ..Target::default()
        });
        record.with_detail("count", self.count).with_detail("seconds", WINDOW.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds).unwrap()
    }

    fn whom(workload: usize, window: u64) -> Repeated {
        let caller = Repeated::by(&format!("spiffe://example.com/{workload}"), at(window));
        caller.of("idp").at_resource(Some("orders")).on_route(Some("front"))
    }

    #[test]
    fn beyond_a_few_refusals_of_one_kind_are_counted() {
        let (repeats, one) = (Repeats::default(), whom(1, 100));
        for _ in 0..50 {
            let is_recorded = !repeats.are_enough(&one, ReasonCode::Denied);
            repeats.count(&one, ReasonCode::Denied, is_recorded);
        }
        assert!(!repeats.are_enough(&one, ReasonCode::InvalidScope), "another reason is another kind");
        assert!(!repeats.are_enough(&whom(2, 100), ReasonCode::Denied), "so is another caller");
        assert!(repeats.take_finished(at(109)).is_empty());
        let counted = repeats.take_finished(at(110));
        let [Repetition { count: 30, .. }] = counted[..] else { panic!("{counted:?}") };
        let record = counted[0].record();
        assert_eq!(record.actor.as_ref().unwrap().id, "spiffe://example.com/1");
        assert_eq!(record.actor.as_ref().unwrap().provider.as_deref(), Some("idp"));
        let target = record.target.as_ref().unwrap();
        assert_eq!((target.resource.as_str(), target.route.as_deref()), ("orders", Some("front")));
        assert_eq!(record.details["count"], 30);
        repeats.restore(counted);
        assert_eq!(repeats.take_all()[0].count, 30);
        assert!(!repeats.are_enough(&one, ReasonCode::Denied), "a new window begins anew");
    }

    #[test]
    fn callers_without_number_do_not_grow_the_table() {
        let repeats = Repeats::default();
        for workload in 0..10_000 {
            repeats.count(&whom(workload, 100), ReasonCode::Denied, true);
        }
        assert_eq!(repeats.lock().len(), KINDS + 1);
    }
}
