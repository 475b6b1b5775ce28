//! Issuers that are slow, away, or change their keys.

use symbolon_jws::{Algorithm, SigningKey};

use crate::harness::{NOW, Twist, World, wait_for};
use crate::tokens::assert_rejected;

#[tokio::test]
async fn a_cold_start_without_the_issuer_is_503_and_never_401() {
    let world = World::with(Twist { issuer_down: true, ..Twist::default() }).await;
    let token = world.mint().sign();
    let answer = world.call("GET", "/orders/7", &token).await;
    assert_rejected(&answer, 503, "jwks_unavailable");
    assert_rejected(&world.send("GET", "/orders/7", "").await, 401, "token_missing");
    assert_eq!(world.send("GET", "/public", "").await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn an_issuer_that_goes_away_after_warm_up_is_not_missed() {
    let world = World::start().await;
    world.issuer.set_down(true);
    let fetched = world.issuer.fetches();
    for number in 0..200 {
        let token = world.mint().with("jti", format!("token-{number}")).sign();
        assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    }
    assert_eq!(world.issuer.fetches(), fetched, "no request waits for the issuer");
    world.end().await;
}

#[tokio::test]
async fn a_new_key_is_fetched_when_its_first_token_arrives() {
    let world = World::start().await;
    let old = world.mint().sign();
    assert_eq!(world.call("GET", "/orders/7", &old).await.status, 200);
    let next = SigningKey::generate(Algorithm::Es256).unwrap();
    world.issuer.publish(&[&world.issuer.key, &next]);
    world.clock.set(NOW + 11);
    let token = world.mint().signed_by(&next).sign();
    let answer = world.call("GET", "/orders/7", &token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    world.end().await;
}

#[tokio::test]
async fn a_key_that_vanishes_takes_its_cached_tokens_along() {
    let world = World::start().await;
    let old = world.mint().sign();
    assert_eq!(world.call("GET", "/orders/7", &old).await.status, 200);
    let next = SigningKey::generate(Algorithm::Es256).unwrap();
    world.issuer.publish(&[&next]);
    world.clock.set(NOW + 11);
    assert_eq!(world.call("GET", "/orders/7", &world.mint().signed_by(&next).sign()).await.status, 200);
    world.clock.set(NOW + 22);
    assert_rejected(&world.call("GET", "/orders/7", &old).await, 401, "unknown_kid");
    world.end().await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_fetch() {
    let world = World::start().await;
    let before = world.issuer.fetches();
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    for number in 0..50 {
        let kid = format!("kid-{number}");
        let token = world.mint().signed_by(&stranger).naming(&kid).sign();
        let answer = world.call("GET", "/orders/7", &token).await;
        assert!(matches!(answer.status, 401 | 503), "{answer:?}");
    }
    assert!(world.issuer.fetches() <= before + 1, "{} fetches", world.issuer.fetches() - before);
    world.end().await;
}

#[tokio::test]
async fn readiness_waits_until_every_issuer_was_tried() {
    let world = World::with(Twist { issuer_down: true, ..Twist::default() }).await;
    let raw = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = crate::harness::wire::ask(&world.admin, raw).await;
    assert_eq!(answer.status, 200, "an issuer that is down must not take the gateway out: {answer:?}");
    let ready = std::fs::read_to_string(world.path("ready.json")).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["public"], world.public);
    assert_eq!(ready["admin"], world.admin);
    assert_eq!(ready["admin_socket"], world.socket().to_str().unwrap());
    wait_for("the socket", || world.socket().exists()).await;
    world.end().await;
}
