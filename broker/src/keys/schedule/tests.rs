use std::collections::HashMap;

use proptest::prelude::*;
use symbolon_jws::sha256;

use super::*;
use crate::keys::life::{KeyChange, RevokedKey};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::EdDsa];

/// What may happen to a ring.
#[derive(Debug, Clone)]
enum Happening {
    /// Time passes, and each look at the clock is late by so many milliseconds.
    Time { milliseconds: u64, late: u64 },
    /// Each active key signs a token of this life.
    Sign { life: u64 },
    /// An operator asks for the next key.
    Rotate,
    /// An operator withdraws what is published.
    Withdraw,
    /// An operator revokes the keys that sign.
    Revoke,
    /// The program was away for so long.
    Restart { milliseconds: u64 },
    /// The clock is put back.
    PutBack { seconds: u64 },
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        6 => (0..90_000_u64, 0..1_500_u64).prop_map(|(milliseconds, late)| Happening::Time { milliseconds, late }),
        6 => (1..40_u64).prop_map(|life| Happening::Sign { life }),
        1 => Just(Happening::Rotate),
        1 => Just(Happening::Withdraw),
        1 => Just(Happening::Revoke),
        1 => (0..60_000_u64).prop_map(|milliseconds| Happening::Restart { milliseconds }),
        1 => (1..120_u64).prop_map(|seconds| Happening::PutBack { seconds }),
    ];
    prop::collection::vec(one, 1..60)
}

fn schedules() -> impl Strategy<Value = Schedule> {
    (2..20_u64, 1..40_u64, 0..20_u64).prop_map(|(lead, more, retain)| Schedule {
        rotate_every: Duration::from_secs(lead + more),
        lead: Duration::from_secs(lead),
        retain: Duration::from_secs(retain),
        algorithms: ALGORITHMS.into_iter().collect(),
    })
}

/// A ring on a clock of milliseconds that may be put back; the schedule sees whole seconds of it.
struct World {
    schedule: Schedule,
    keys: Vec<KeyLife>,
    made: u64,
    /// Milliseconds that have really passed.
    elapsed: u64,
    /// What the clock is ahead of that, in seconds.
    ahead: u64,
    /// When a key was first shown by this process, in real milliseconds.
    shown: HashMap<[u8; 32], u64>,
    /// The last `exp` of a key's tokens.
    tokens: HashMap<[u8; 32], Timestamp>,
}

impl World {
    fn new(schedule: Schedule) -> Self {
        let (shown, tokens) = (HashMap::new(), HashMap::new());
        // Far enough ahead to be put back as often as a case may.
        let mut world =
            Self { schedule, keys: Vec::new(), made: 0, elapsed: 0, ahead: 1_000_000, shown, tokens };
        world.keep_up();
        world
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.elapsed / 1000 + self.ahead).unwrap()
    }

    fn add(&mut self, algorithm: Algorithm, life: fn(Thumbprint, Algorithm, Timestamp) -> KeyLife) {
        self.made += 1;
        let id = sha256(&self.made.to_le_bytes());
        let key = life(Thumbprint::from_bytes(id), algorithm, self.now());
        self.shown.insert(id, self.elapsed);
        KeyChange::Add { key, sealed: String::new() }.apply(&mut self.keys);
    }

    fn keep_up(&mut self) {
        for _ in 0..8 {
            let steps = self.schedule.due(&self.keys, self.now());
            if steps.is_empty() {
                break;
            }
            for step in steps {
                self.take(step);
            }
        }
        assert_eq!(self.schedule.due(&self.keys, self.now()), [], "it comes to rest");
        self.check();
    }

    fn take(&mut self, step: Step) {
        let at = self.now();
        match step {
            Step::Begin(algorithm) => {
                assert!(
                    self.keys.iter().all(|key| key.algorithm != algorithm || key.phase() == Phase::Retired)
                );
                self.add(algorithm, KeyLife::active);
            }
            Step::Publish(algorithm) => self.add(algorithm, KeyLife::published),
            Step::Activate { id, retires } => {
                let shown = self.elapsed - self.shown[id.as_bytes()];
                let lead = u64::try_from(self.schedule.lead.as_millis()).unwrap();
                assert!(shown >= lead, "it signs after {shown} ms of {lead}");
                assert!(retires.is_some(), "there was no key that signs");
                if let Some(id) = retires {
                    KeyChange::Retire { id, at }.apply(&mut self.keys);
                }
                KeyChange::Activate { id, at }.apply(&mut self.keys);
            }
            Step::Retire(_) => unreachable!("all algorithms stay in use"),
            Step::Remove(key) => {
                assert_eq!(key.phase(), Phase::Retired);
                if let Some(until) = self.tokens.get(key.id.as_bytes()) {
                    assert!(*until < at, "a token of {key:?} is still valid");
                    assert!(at.saturating_since(*until) >= self.schedule.retain, "{key:?} is needed");
                }
                KeyChange::Remove(key).apply(&mut self.keys);
            }
        }
    }

    fn check(&self) {
        for algorithm in ALGORITHMS {
            for (phase, count) in [(Phase::Active, 1..2), (Phase::Published, 0..2)] {
                let keys = self.keys.iter().filter(|key| key.algorithm == algorithm && key.phase() == phase);
                assert!(count.contains(&keys.count()), "{algorithm} {phase:?}: {:?}", self.keys);
            }
        }
    }

    /// Looks at the clock when something is due, as the keeper does.
    fn pass(&mut self, milliseconds: u64, late: u64) {
        let end = self.elapsed + milliseconds;
        while self.elapsed < end {
            let next = self.schedule.next(&self.keys).unwrap();
            let due = next.saturating_since(self.now()).as_millis().clamp(1, 30_000);
            self.elapsed = end.min(self.elapsed + u64::try_from(due).unwrap() + late);
            self.keep_up();
        }
    }

    fn meet(&mut self, happening: &Happening) {
        match happening {
            Happening::Time { milliseconds, late } => self.pass(*milliseconds, *late),
            Happening::Sign { life } => {
                let until = self.now().saturating_add(Duration::from_secs(*life));
                for key in self.keys.iter_mut().filter(|key| key.phase() == Phase::Active) {
                    let last = self.tokens.entry(*key.id.as_bytes()).or_insert(until);
                    *last = until.max(*last);
                    key.tokens_until = Some(*last);
                }
            }
            Happening::Rotate => {
                for algorithm in ALGORITHMS {
                    if find(&self.keys, algorithm, Phase::Published).is_none() {
                        self.add(algorithm, KeyLife::published);
                    }
                }
            }
            Happening::Withdraw => {
                let at = self.now();
                for id in self.of_phase(Phase::Published) {
                    KeyChange::Retire { id, at }.apply(&mut self.keys);
                }
            }
            Happening::Revoke => {
                let now = self.now();
                for id in self.of_phase(Phase::Active) {
                    let algorithm = self.keys.iter().find(|key| key.id == id).unwrap().algorithm;
                    let revoked = RevokedKey { id, revoked_at: now, until: now };
                    KeyChange::Revoke(revoked).apply(&mut self.keys);
                    self.add(algorithm, KeyLife::active);
                }
            }
            Happening::Restart { milliseconds } => {
                self.elapsed += milliseconds;
                let now = self.now();
                for key in self.keys.iter_mut().filter(|key| key.phase() == Phase::Published) {
                    key.published_at = key.published_at.max(now);
                    self.shown.insert(*key.id.as_bytes(), self.elapsed);
                }
            }
            Happening::PutBack { seconds } => self.ahead -= seconds,
        }
        self.keep_up();
    }

    fn of_phase(&self, phase: Phase) -> Vec<Thumbprint> {
        self.keys.iter().filter(|key| key.phase() == phase).map(|key| key.id).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Exactly one key of an algorithm signs at any time, none before it was shown for the lead, and none goes while a
    /// token of it is valid or a verifier may need it: whatever operators, restarts and the clock do.
    #[test]
    fn one_key_signs_none_too_early_and_none_goes_too_soon(schedule in schedules(), happenings in happenings()) {
        let mut world = World::new(schedule);
        for happening in &happenings {
            world.meet(happening);
        }
        // Left alone it rotates, and everything old goes.
        let before = world.keys.clone();
        let longest = world.tokens.values().max().map_or(0, |until| until.saturating_since(world.now()).as_secs());
        let put_back = 120 * 60;
        world.pass(1000 * (longest + put_back + 200), 0);
        prop_assert!(before.iter().all(|old| world.keys.iter().all(|key| key.id != old.id)));
    }
}

fn hours(schedule: [u64; 3]) -> Schedule {
    let [rotate_every, lead, retain] = schedule.map(Duration::from_hours);
    Schedule { rotate_every, lead, retain, algorithms: [Algorithm::Es256].into_iter().collect() }
}

#[test]
fn the_usual_day_of_a_key() {
    let schedule = hours([24, 2, 2]);
    let at = |hours: u64| Timestamp::from_secs(1_000_000 + hours * 3600).unwrap();
    let id = |number| Thumbprint::from_bytes([number; 32]);
    let mut keys = Vec::new();
    assert_eq!(schedule.due(&keys, at(0)), [Step::Begin(Algorithm::Es256)]);
    keys.push(KeyLife::active(id(1), Algorithm::Es256, at(0)));
    assert_eq!(schedule.due(&keys, at(21)), []);
    assert_eq!(schedule.due(&keys, at(22)), [Step::Publish(Algorithm::Es256)]);
    keys.push(KeyLife::published(id(2), Algorithm::Es256, at(22)));
    assert_eq!(schedule.due(&keys, at(24)), [], "whole seconds are cut off: one more");
    assert_eq!(schedule.next(&keys), Some(at(24).saturating_add(CUT_OFF)));
    assert_eq!(schedule.due(&keys, at(25)), [Step::Activate { id: id(2), retires: Some(id(1)) }]);
    KeyChange::Retire { id: id(1), at: at(25) }.apply(&mut keys);
    KeyChange::Activate { id: id(2), at: at(25) }.apply(&mut keys);
    keys[0].tokens_until = Some(at(26));
    assert_eq!(schedule.due(&keys, at(28)), [], "the last token and the slowest verifier");
    assert_eq!(schedule.due(&keys, at(29)), [Step::Remove(keys[0])]);
}

#[test]
fn a_key_of_an_algorithm_that_nobody_uses_retires() {
    let schedule = hours([24, 2, 2]);
    let now = Timestamp::from_secs(1_000_000).unwrap();
    let id = |number| Thumbprint::from_bytes([number; 32]);
    let keys = [KeyLife::active(id(1), Algorithm::Es256, now), KeyLife::active(id(2), Algorithm::Rs256, now)];
    assert_eq!(schedule.due(&keys, now), [Step::Retire(id(2))]);
}

#[test]
fn verifiers_keep_the_set_for_less_than_the_lead() {
    for (lead, max_age) in [(2, 1), (3, 1), (60, 30), (600, 300), (7200, 300)] {
        let schedule = Schedule { lead: Duration::from_secs(lead), ..hours([24, 2, 2]) };
        assert_eq!(schedule.max_age().as_secs(), max_age);
    }
}
