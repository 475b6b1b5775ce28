use std::time::Duration;

use super::{Answer, House, KeySource, Server, at, issuers, key, key_set, only, settings, token, verify};
use crate::{IssuerError, Issuers, KeyPolicy};

/// Each way in which a key server can fail.
fn faults(good: &str) -> Vec<(&'static str, Answer)> {
    let private = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}"#;
    let twice = good.replacen("[{", &format!("[{},{{", &good[9..good.len() - 2]), 1);
    let keys = |text: &str| Answer::Keys(text.to_owned());
    vec![
        ("down", Answer::Close),
        ("slow", Answer::Silence),
        ("500", Answer::Status(500, good.to_owned())),
        ("404", Answer::Status(404, good.to_owned())),
        ("204", Answer::Status(204, String::new())),
        ("redirect", Answer::Status(302, good.to_owned())),
        ("permanent redirect", Answer::Status(308, good.to_owned())),
        ("HTML", keys("<!DOCTYPE html><html><body>Sign in</body></html>")),
        ("empty", keys("")),
        ("{}", keys("{}")),
        ("no keys", keys(r#"{"keys":[]}"#)),
        ("null", keys(r#"{"keys":null}"#)),
        ("unknown kty", keys(r#"{"keys":[{"kty":"ML-DSA","kid":"a","pub":"AAAA"}]}"#)),
        ("symmetric", keys(r#"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}"#)),
        ("private", keys(private)),
        ("the same kid twice", keys(&twice)),
        ("a duplicate member", keys(&good.replacen("{\"keys\"", "{\"keys\":[],\"keys\"", 1))),
        ("a gibibyte", Answer::Huge),
        ("without end", Answer::Endless),
        ("truncated", Answer::Truncated(good.to_owned())),
        ("cut JSON", keys(&good[..good.len() / 2])),
    ]
}

#[tokio::test]
async fn no_fault_of_the_server_replaces_a_good_set() {
    let house = House::new().await;
    let (token, issuer) = (house.token(), house.issuer());
    let thumbprint = house.key.thumbprint();
    for (index, (fault, answer)) in faults(&key_set(&[&house.key])).into_iter().enumerate() {
        house.server.answer(answer);
        assert!(issuer.refresh(at(60)).await.is_err(), "{fault}");
        assert!(verify(&house.issuers, &token, at(60)).await.is_ok(), "{fault}");
        assert!(issuer.holds(&thumbprint, at(60)) && issuer.generation() == 1, "{fault}");
        assert_eq!(usize::try_from(issuer.status(at(60)).failures).unwrap(), index + 1, "{fault}");
    }
    house.server.answer(Answer::Keys(key_set(&[&house.key])));
    issuer.refresh(at(90)).await.unwrap();
    let status = issuer.status(at(90));
    assert_eq!((status.failures, status.fetched_at, status.usable), (0, Some(at(90)), true));
}

#[tokio::test]
async fn a_key_of_an_unknown_kind_does_not_spoil_its_neighbours() {
    let house = House::new().await;
    let set = key_set(&[&house.key]).replacen("[{", "[{\"kty\":\"ML-DSA\",\"pub\":\"AAAA\"},{", 1);
    house.server.answer(Answer::Keys(set));
    house.issuer().refresh(at(60)).await.unwrap();
    assert!(verify(&house.issuers, &house.token(), at(60)).await.is_ok());
}

#[tokio::test]
async fn a_key_that_vanishes_takes_its_verdicts_along() {
    let house = House::new().await;
    let (issuer, thumbprint, other) = (house.issuer(), house.key.thumbprint(), key());
    let generation = issuer.generation();
    house.server.answer(Answer::Keys(key_set(&[&other])));
    issuer.refresh(at(60)).await.unwrap();
    assert!(!issuer.holds(&thumbprint, at(60)) && issuer.holds(&other.thumbprint(), at(60)));
    assert!(issuer.generation() > generation);
    let refused = verify(&house.issuers, &house.token(), at(60)).await;
    assert!(matches!(refused, Err(IssuerError::KeysUnavailable { .. })), "it was fetched less than 10 s ago");
}

#[tokio::test]
async fn an_outage_is_ridden_out_for_a_day_and_no_longer() {
    let house = House::new().await;
    house.server.answer(Answer::Close);
    let (day, thumbprint) = (24 * 3600, house.key.thumbprint());
    let fresh = |now| token(&house.server.url(), &house.key, at(now));
    assert!(verify(&house.issuers, &fresh(day), at(day)).await.is_ok());
    assert!(house.issuer().holds(&thumbprint, at(day)));
    assert!(!house.issuer().holds(&thumbprint, at(day + 1)));
    assert!(!house.issuer().status(at(day + 1)).usable);
    house.issuer().refresh(at(day + 1)).await.unwrap_err();
    let refused = verify(&house.issuers, &fresh(day + 1), at(day + 2)).await;
    let Err(IssuerError::KeysUnavailable { retry_after, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(retry_after, Duration::from_secs(9));
}

#[tokio::test]
async fn a_cold_start_without_keys_is_an_outage_and_not_the_callers_fault() {
    let (server, key) = (Server::start().await, key());
    let issuers =
        issuers(settings(&server.url(), KeySource::JwksUri(server.keys_url())), KeyPolicy::default());
    assert_eq!(issuers.refresh(at(0)).await, 1);
    for now in 1..5 {
        let refused = verify(&issuers, &token(&server.url(), &key, at(0)), at(now)).await;
        assert!(matches!(refused, Err(IssuerError::KeysUnavailable { .. })), "{refused:?}");
    }
    assert!(!only(&issuers).status(at(5)).usable);
}

/// Issuers of a program that starts again while the key server is down.
fn restarted(house: &House, policy: &KeyPolicy, now: u64) -> Issuers {
    let settings = settings(&house.server.url(), KeySource::JwksUri(house.server.keys_url()));
    Issuers::new(vec![settings], policy.clone(), super::client(), at(now)).unwrap()
}

#[tokio::test]
async fn the_last_good_set_survives_a_restart_and_ages_from_its_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let policy = KeyPolicy { directory: Some(folder.path().join("keys")), ..KeyPolicy::default() };
    let house = House::with(policy.clone()).await;
    house.server.answer(Answer::Keys("{}".to_owned()));
    house.issuer().refresh(at(60)).await.unwrap_err();
    house.server.answer(Answer::Close);
    assert!(verify(&restarted(&house, &policy, 3000), &house.token(), at(3000)).await.is_ok());
    let day = 24 * 3600;
    let late = restarted(&house, &policy, day + 1);
    assert!(!only(&late).status(at(day + 1)).usable, "counted from the fetch, not from the start");
    let early = Issuers::new(
        vec![settings(&house.server.url(), KeySource::JwksUri(house.server.keys_url()))],
        policy,
        super::client(),
        symbolon_identity::Timestamp::from_secs(5).unwrap(),
    );
    let fetched_at = only(&early.unwrap()).status(at(0)).fetched_at.unwrap();
    assert_eq!(fetched_at.as_secs(), 5, "a copy from the future is as old as now");
}

#[tokio::test]
async fn a_copy_of_another_source_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let policy = KeyPolicy { directory: Some(folder.path().to_owned()), ..KeyPolicy::default() };
    let house = House::with(policy.clone()).await;
    let other = issuers(settings(&house.server.url(), KeySource::Discovery), policy);
    assert!(!only(&other).status(at(1)).usable);
}
