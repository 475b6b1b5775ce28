//! When streams are renewed, without a gateway.

use symbolon_identity::{Audience, Timestamp};
use symbolon_wire::{TokenAnswer, TokenType};

use super::*;

fn now() -> Now {
    Now { tick: Instant::now(), wall: Timestamp::from_secs_saturating(1_800_000_000) }
}

fn credential(life: u64, dice: &mut Dice) -> Arc<Credential> {
    let answer = serde_json::json!({
        "access_token": "secret", "token_type": TokenType::Dpop, "expires_in": life, "scope": "a",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    let answer: TokenAnswer = serde_json::from_value(answer).unwrap();
    Arc::new(Credential::new(answer, Audience::parse("https://a.test").unwrap(), now(), dice).unwrap())
}

fn id() -> StreamId {
    let mut headers = HeaderMap::new();
    headers.insert(STREAM, "abc".parse().unwrap());
    StreamId::take(&mut headers).unwrap()
}

#[test]
fn an_id_is_taken_out_of_the_answer_and_two_are_none() {
    let mut headers = HeaderMap::new();
    for value in ["a", "b"] {
        headers.append(STREAM, value.parse().unwrap());
    }
    assert!(StreamId::take(&mut headers).is_none());
    assert!(headers.is_empty());
    headers.insert(STREAM, "x".repeat(ID_MOST + 1).parse().unwrap());
    assert!(StreamId::take(&mut headers).is_none());
    assert!(headers.is_empty());
    assert!(!format!("{:?}", id()).contains("abc"));
}

#[tokio::test]
async fn a_thousand_streams_are_spread_and_forgotten_when_they_end() {
    let (renewals, mut dice) = (Arc::new(Renewals::default()), Dice::seeded(7));
    let (old, new) = (credential(100, &mut dice), credential(100, &mut dice));
    let open: Vec<_> = (0..1_000).map(|_| renewals.open(id(), Arc::clone(&old))).collect();
    assert_eq!(renewals.plan(&old, now(), &mut dice), None, "nothing to renew them with");
    let begun = now();
    let first = renewals.plan(&new, begun, &mut dice);
    let due: Vec<_> =
        renewals.table().streams.values().map(|stream| stream.due.unwrap() - begun.tick).collect();
    assert!(due.iter().all(|due| *due <= SPREAD_MOST), "{due:?}");
    let in_one_second = |second: u64| due.iter().filter(|due| due.as_secs() == second).count();
    assert!((0..30).all(|second| (5..100).contains(&in_one_second(second))), "{due:?}");
    assert_eq!(first.map(|first| first - begun.tick), due.iter().min().copied());
    drop(open);
    assert!(renewals.table().streams.is_empty() && renewals.table().times.is_empty());
}

#[tokio::test]
async fn only_a_stream_that_rests_on_an_older_token_wakes_the_keeper() {
    let (renewals, mut dice) = (Arc::new(Renewals::default()), Dice::seeded(7));
    let (old, new) = (credential(100, &mut dice), credential(100, &mut dice));
    let woken = async || tokio::time::timeout(Duration::ZERO, renewals.news.notified()).await.is_ok();
    let _before = renewals.open(id(), Arc::clone(&old));
    renewals.plan(&old, now(), &mut dice);
    let _open: Vec<_> = (0..1_000).map(|_| renewals.open(id(), Arc::clone(&old))).collect();
    assert!(!woken().await && renewals.table().times.is_empty());
    renewals.plan(&new, now(), &mut dice);
    assert_eq!(renewals.table().times.len(), 1_001);
    let _late = renewals.open(id(), old);
    assert!(woken().await);
    renewals.plan(&new, now(), &mut dice);
    assert_eq!(renewals.table().times.len(), 1_002);
}

#[tokio::test]
async fn a_refused_stream_is_forgotten_and_a_failed_one_tried_again() {
    let (renewals, mut dice) = (Arc::new(Renewals::default()), Dice::seeded(7));
    let (old, new) = (credential(4, &mut dice), credential(100, &mut dice));
    let open = [renewals.open(id(), Arc::clone(&old)), renewals.open(id(), Arc::clone(&old))];
    renewals.plan(&new, now(), &mut dice);
    renewals.settle((open[0].number, Came::Failed), &new, now(), &mut dice);
    renewals.settle((open[1].number, Came::Refused), &new, now(), &mut dice);
    assert_eq!(renewals.table().streams.len(), 1);
    let due = renewals.plan(&new, now(), &mut dice).unwrap();
    assert!(due > now().tick && due <= now().tick + AGAIN_FIRST);
    renewals.settle((open[0].number, Came::Renewed), &new, now(), &mut dice);
    assert_eq!(renewals.plan(&new, now(), &mut dice), None);
}

#[tokio::test]
async fn a_stream_that_a_gateway_does_not_know_is_tried_again_until_its_token_ends() {
    let (renewals, mut dice) = (Arc::new(Renewals::default()), Dice::seeded(7));
    let (old, new) = (credential(4, &mut dice), credential(100, &mut dice));
    let open = renewals.open(id(), old);
    renewals.plan(&new, now(), &mut dice);
    let settle = |now: Now, dice: &mut Dice| renewals.settle((open.number, Came::Unknown), &new, now, dice);
    assert_eq!(settle(now(), &mut dice), Came::Unknown);
    let later = Now { tick: now().tick + AGAIN_FIRST, ..now() };
    let due = renewals.due(later);
    assert!(due.len() == 1 && due[0].again, "{due:?}");
    let over = Now { tick: now().tick + Duration::from_secs(5), ..now() };
    assert_eq!(settle(over, &mut dice), Came::Refused);
    assert!(renewals.table().streams.is_empty() && renewals.table().times.is_empty());
}
