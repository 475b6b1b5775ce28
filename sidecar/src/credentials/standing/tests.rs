//! The state machine alone, on a clock that the test moves.
//! Sockets and tasks are in `tests/`.

use symbolon_identity::{Audience, Timestamp};
use symbolon_wire::{TokenAnswer, TokenType};

use super::*;

struct Bench {
    standing: Standing,
    dice: Dice,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        let wall = Timestamp::from_secs_saturating(1_800_000_000);
        let now =
            Now { tick: crate::time::Time::new(Arc::new(symbolon_daemon::SystemClock)).now().tick, wall };
        Self { standing: Standing::new(now), dice: Dice::seeded(42), now }
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { tick: self.now.tick + time, wall: self.now.wall.saturating_add(time) };
    }

    fn answer(&mut self, answer: Answer) -> Duration {
        self.standing.begin(self.now);
        self.standing.settle(answer, self.now, &mut self.dice);
        self.standing.due().saturating_duration_since(self.now.tick)
    }

    fn grant(&mut self, seconds: u64) -> Answer {
        let answer = TokenAnswer {
            access_token: "opaque".to_owned().into(),
            token_type: TokenType::Dpop,
            expires_in: seconds,
            scope: String::new(),
            issued_token_type: None,
        };
        let audience = Audience::parse("https://orders.internal").unwrap();
        Answer::Granted(Credential::new(answer, audience, self.now, &mut self.dice).unwrap())
    }

    fn usable(&self) -> bool {
        self.standing.usable(self.now).is_some()
    }
}

fn denial() -> Denial {
    let id = DecisionId::parse("b-00000000000000000000000000").unwrap();
    Denial { reason: Some(ReasonCode::Denied), decision_id: Some(id) }
}

const OUTAGE: Answer = Answer::Failed { not_before: None };

#[test]
fn a_token_is_renewed_before_half_of_its_life_and_not_too_early() {
    for _ in 0..50 {
        let mut bench = Bench::new();
        let grant = bench.grant(900);
        let due = bench.answer(grant);
        assert!((360..=450).contains(&due.as_secs()), "{due:?}");
    }
}

#[test]
fn an_outage_is_ridden_out_until_shortly_before_the_end_of_the_token() {
    let mut bench = Bench::new();
    let grant = bench.grant(300);
    bench.answer(grant);
    bench.pass(Duration::from_secs(150));
    bench.answer(OUTAGE);
    bench.pass(Duration::from_secs(147));
    assert!(bench.usable());
    bench.pass(Duration::from_secs(1));
    assert!(!bench.usable());
    assert!(matches!(bench.standing.without(bench.now), Without::Unavailable { .. }));
}

#[test]
fn a_machine_that_slept_does_not_use_a_token_that_ended_meanwhile() {
    let mut bench = Bench::new();
    let grant = bench.grant(300);
    bench.answer(grant);
    bench.now.wall = bench.now.wall.saturating_add(Duration::from_mins(5));
    assert!(!bench.usable());
    assert_eq!(bench.standing.turn(bench.now), Turn::Ask);
}

#[test]
fn failures_are_retried_later_and_later_but_never_later_than_the_cap() {
    let mut bench = Bench::new();
    let pauses: Vec<_> = (0..12).map(|_| bench.answer(OUTAGE)).collect();
    assert!(pauses[0] <= FAILED_FIRST && pauses[0] >= FAILED_FIRST / 2, "{pauses:?}");
    assert!(pauses[4] > pauses[0]);
    assert!(pauses[11] <= FAILED_MOST && pauses[11] >= FAILED_MOST / 2, "{pauses:?}");
}

#[test]
fn retry_after_is_honoured_up_to_a_limit() {
    let mut bench = Bench::new();
    let told = |seconds| Answer::Failed { not_before: Some(Duration::from_secs(seconds)) };
    assert_eq!(bench.answer(told(60)), Duration::from_mins(1));
    assert_eq!(bench.answer(told(u64::MAX)), RETRY_AFTER_MOST);
    assert_eq!(bench.standing.turn(bench.now), Turn::TooEarly);
}

#[test]
fn a_denial_ends_the_use_of_a_token_that_has_not_expired() {
    let mut bench = Bench::new();
    let grant = bench.grant(300);
    bench.answer(grant);
    bench.answer(Answer::Denied(denial()));
    assert!(!bench.usable());
    assert_eq!(bench.standing.without(bench.now), Without::Denied(denial()));
}

#[test]
fn evidence_that_is_refused_leaves_a_rightly_granted_token_in_use() {
    let mut bench = Bench::new();
    let grant = bench.grant(300);
    bench.answer(grant);
    bench.pass(Duration::from_secs(150));
    bench.answer(Answer::Refused(denial()));
    assert!(bench.usable());
    bench.pass(Duration::from_secs(150));
    assert_eq!(bench.standing.without(bench.now), Without::Denied(denial()));
}

#[test]
fn a_denial_may_be_asked_about_once_a_second_and_is_retried_slowly_by_itself() {
    let mut bench = Bench::new();
    let due = bench.answer(Answer::Denied(denial()));
    assert!(due >= DENIED_FIRST / 2, "{due:?}");
    assert_eq!(bench.standing.turn(bench.now), Turn::TooEarly);
    bench.pass(REASK);
    assert_eq!(bench.standing.turn(bench.now), Turn::Ask);
    bench.standing.begin(bench.now);
    assert_eq!(bench.standing.turn(bench.now), Turn::Asking);
}

#[test]
fn a_grant_after_a_denial_counts() {
    let mut bench = Bench::new();
    bench.answer(Answer::Denied(denial()));
    let grant = bench.grant(300);
    bench.answer(grant);
    assert!(bench.usable());
    assert_eq!(bench.answer(OUTAGE).as_secs(), 0, "the row of bad answers starts again");
}

#[test]
fn only_an_answer_is_a_verdict() {
    let mut bench = Bench::new();
    assert!(!bench.standing.has_verdict());
    bench.answer(OUTAGE);
    assert!(!bench.standing.has_verdict());
    bench.answer(Answer::Denied(denial()));
    assert!(bench.standing.has_verdict());
}

#[test]
fn an_answer_without_any_life_is_worth_nothing_and_a_huge_one_does_not_overflow() {
    let mut bench = Bench::new();
    let answer = |seconds| TokenAnswer {
        access_token: "opaque".to_owned().into(),
        token_type: TokenType::Dpop,
        expires_in: seconds,
        scope: String::new(),
        issued_token_type: None,
    };
    let audience = Audience::parse("a").unwrap();
    let new = |seconds, dice: &mut Dice| Credential::new(answer(seconds), audience.clone(), bench.now, dice);
    assert!(new(0, &mut bench.dice).is_none());
    assert!(new(u64::MAX, &mut bench.dice).is_some());
    let shown = format!("{:?}", new(300, &mut bench.dice));
    assert!(!shown.contains("opaque"), "{shown}");
}

#[test]
fn an_outage_after_refused_evidence_is_an_outage_once_the_token_ends() {
    let mut bench = Bench::new();
    let grant = bench.grant(300);
    bench.answer(grant);
    bench.pass(Duration::from_secs(150));
    bench.answer(Answer::Refused(denial()));
    bench.pass(Duration::from_secs(30));
    let told = Duration::from_mins(5);
    bench.answer(Answer::Failed { not_before: Some(told) });
    bench.pass(Duration::from_mins(2));
    assert!(!bench.usable());
    let left = told.saturating_sub(Duration::from_mins(2));
    assert_eq!(bench.standing.without(bench.now), Without::Unavailable { retry_after: left });
    assert_eq!(bench.standing.turn(bench.now), Turn::TooEarly);
}

#[test]
fn an_outage_does_not_lift_a_denial_and_its_retry_after_is_kept() {
    let mut bench = Bench::new();
    bench.answer(Answer::Denied(denial()));
    bench.pass(REASK);
    bench.answer(Answer::Failed { not_before: Some(Duration::from_mins(1)) });
    assert_eq!(bench.standing.without(bench.now), Without::Denied(denial()));
    bench.pass(Duration::from_secs(59));
    assert_eq!(bench.standing.turn(bench.now), Turn::TooEarly);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.standing.turn(bench.now), Turn::Ask);
}

#[test]
fn the_first_failure_after_many_denials_is_retried_soon() {
    let mut bench = Bench::new();
    for _ in 0..8 {
        bench.answer(Answer::Denied(denial()));
    }
    assert!(bench.answer(OUTAGE) <= FAILED_FIRST);
}

#[test]
fn a_request_that_comes_too_early_brings_the_next_question_near_but_not_nearer_than_allowed() {
    let mut bench = Bench::new();
    bench.answer(Answer::Denied(denial()));
    bench.pass(Duration::from_millis(300));
    bench.standing.hurry(bench.now);
    let due = bench.standing.due().saturating_duration_since(bench.now.tick);
    assert_eq!(due, Duration::from_millis(700));
    let told = bench.answer(Answer::Failed { not_before: Some(Duration::from_mins(1)) });
    bench.standing.hurry(bench.now);
    assert_eq!(bench.standing.due().saturating_duration_since(bench.now.tick), told);
}

#[test]
fn a_request_that_has_a_credential_hurries_nothing() {
    let mut bench = Bench::new();
    let grant = bench.grant(300);
    let due = bench.answer(grant);
    bench.standing.hurry(bench.now);
    assert_eq!(bench.standing.due().saturating_duration_since(bench.now.tick), due);
}
