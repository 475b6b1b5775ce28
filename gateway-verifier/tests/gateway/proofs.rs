//! Who stole a token cannot use it: proofs of possession at the gateway.

use symbolon_jws::Algorithm;
use symbolon_proof::ProofKey;

use crate::harness::{ORIGIN, Twist, World, prove};
use crate::tokens::assert_rejected;

async fn present(world: &World, token: &str, proof: Option<&str>) -> crate::harness::wire::Answer {
    let proof = proof.map(|proof| format!("DPoP: {proof}\r\n")).unwrap_or_default();
    world.send("GET", "/orders/7", &format!("Authorization: DPoP {token}\r\n{proof}")).await
}

#[tokio::test]
async fn a_stolen_token_is_useless_without_its_key() {
    let world = World::start().await;
    let token = world.mint().sign();
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    assert_rejected(&present(&world, &token, None).await, 401, "proof_missing");
    let bearer = world.send("GET", "/orders/7", &format!("Authorization: Bearer {token}\r\n")).await;
    assert_rejected(&bearer, 401, "proof_missing");
    let thief = ProofKey::generate(Algorithm::Es256).unwrap();
    let proof = prove(&thief, "GET", &format!("{ORIGIN}/orders/7"), &token, world.now());
    assert_rejected(&present(&world, &token, Some(&proof)).await, 401, "binding_mismatch");
    assert_eq!(world.api.seen(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_bound_token_as_bearer_is_a_downgrade_even_with_its_proof() {
    let world = World::start().await;
    let token = world.mint().sign();
    let proof = world.proof("GET", "/orders/7", &token);
    let answer =
        world.send("GET", "/orders/7", &format!("Authorization: Bearer {token}\r\nDPoP: {proof}\r\n")).await;
    assert_rejected(&answer, 401, "binding_mismatch");
    world.end().await;
}

#[tokio::test]
async fn when_bound_still_checks_every_bound_token() {
    let world = World::start().await;
    let token = world.issuer.bearer(world.now()).bound_to(world.key.thumbprint()).sign();
    let bearer = world.send("GET", "/billing/7", &format!("Authorization: Bearer {token}\r\n")).await;
    assert_rejected(&bearer, 401, "proof_missing");
    assert_eq!(world.call("GET", "/billing/7", &token).await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn a_proof_is_used_once() {
    let world = World::start().await;
    let token = world.mint().sign();
    let proof = world.proof("GET", "/orders/7", &token);
    assert_eq!(present(&world, &token, Some(&proof)).await.status, 200);
    assert_rejected(&present(&world, &token, Some(&proof)).await, 401, "proof_replayed");
    assert_eq!(world.api.seen(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_proof_is_for_one_method_one_target_and_one_token() {
    let world = World::start().await;
    let token = world.mint().sign();
    let other = world.mint().with("jti", "token-2").sign();
    let target = format!("{ORIGIN}/orders/7");
    let now = world.now();
    for proof in [
        prove(&world.key, "POST", &target, &token, now),
        prove(&world.key, "GET", &format!("{ORIGIN}/orders/8"), &token, now),
        prove(&world.key, "GET", "https://evil.example/orders/7", &token, now),
        prove(&world.key, "GET", &format!("http://{}/orders/7", world.public), &token, now),
        prove(&world.key, "GET", &target, &other, now),
        token.clone(),
        "x".to_owned(),
        "a".repeat(10_000),
    ] {
        assert_rejected(&present(&world, &token, Some(&proof)).await, 401, "proof_invalid");
    }
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn the_target_is_one_of_our_origins_whatever_host_says() {
    let world = World::start().await;
    let token = world.mint().sign();
    for origin in [ORIGIN, "http://orders.example.com", "HTTPS://ORDERS.example.com:443"] {
        let proof = prove(&world.key, "GET", &format!("{origin}/orders/7"), &token, world.now());
        assert_eq!(present(&world, &token, Some(&proof)).await.status, 200, "{origin}");
    }
    // `Host` is a route's business; a proof for what it says is for somebody else.
    let proof = prove(&world.key, "GET", "https://orders.example.com:9/orders/7", &token, world.now());
    let raw = format!(
        "GET /orders/7 HTTP/1.1\r\nHost: orders.example.com:9\r\nConnection: close\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n"
    );
    assert_rejected(&world.raw(raw.as_bytes()).await, 401, "proof_invalid");
    world.end().await;
}

#[tokio::test]
async fn a_proof_lives_a_minute() {
    let world = World::start().await;
    let token = world.mint().sign();
    let target = format!("{ORIGIN}/orders/7");
    let start = world.now().as_secs();
    let proof = prove(&world.key, "GET", &target, &token, world.now());
    world.clock.set(start + 61);
    assert_rejected(&present(&world, &token, Some(&proof)).await, 401, "proof_expired");
    world.clock.set(start - 6);
    assert_rejected(&present(&world, &token, Some(&proof)).await, 401, "proof_expired");
    world.clock.set(start + 60);
    assert_eq!(present(&world, &token, Some(&proof)).await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn two_proofs_are_none() {
    let world = World::start().await;
    let token = world.mint().sign();
    let (one, two) = (world.proof("GET", "/orders/7", &token), world.proof("GET", "/orders/7", &token));
    let more = format!("Authorization: DPoP {token}\r\nDPoP: {one}\r\nDPoP: {two}\r\n");
    assert_rejected(&world.send("GET", "/orders/7", &more).await, 401, "proof_invalid");
    world.end().await;
}

#[tokio::test]
async fn one_key_cannot_fill_the_memory_for_the_others() {
    let more = "replay: { entries: 100000, entries_per_key: 16 }".to_owned();
    let world = World::with(Twist { more, ..Twist::default() }).await;
    let greedy = world.mint().sign();
    let mut full = 0;
    for _ in 0..40 {
        let answer = world.call("GET", "/orders/7", &greedy).await;
        if answer.status != 200 {
            assert_rejected(&answer, 503, "replay_unavailable");
            full += 1;
        }
    }
    assert!(full >= 24, "{full}");
    let other = ProofKey::generate(Algorithm::Es256).unwrap();
    let token = world.issuer.mint(world.now()).bound_to(other.thumbprint()).sign();
    let proof = prove(&other, "GET", &format!("{ORIGIN}/orders/7"), &token, world.now());
    assert_eq!(present(&world, &token, Some(&proof)).await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn a_full_memory_of_proofs_is_our_outage_not_a_hole() {
    let world = World::with(Twist { more: "replay: { entries: 1 }".to_owned(), ..Twist::default() }).await;
    let token = world.mint().sign();
    let mut full = 0;
    for _ in 0..40 {
        let answer = world.call("GET", "/orders/7", &token).await;
        if answer.status != 200 {
            assert_rejected(&answer, 503, "replay_unavailable");
            full += 1;
        }
    }
    assert!(full > 0);
    world.end().await;
}
