//! What operators see and change, by the command line and on the admin socket, and what they are refused.
//! Not here: another user on the admin socket; its file keeps them out.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use symbolon_e2e::http::Call;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::ring::{ALGORITHMS, Ring, key_id};

const QUIET: &str = "rotate_every: 1h, lead: 2s, retain: 1h";
/// A well-formed id of no key.
const NO_KEY: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

/// The keys of an algorithm: their ids and states.
fn of<'a>(list: &'a Value, algorithm: &str) -> Vec<(&'a str, &'a str)> {
    let keys = list["keys"].as_array().unwrap().iter().filter(|key| key["algorithm"] == algorithm);
    keys.map(|key| (key["kid"].as_str().unwrap(), key["state"].as_str().unwrap())).collect()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(output: &Output, exit: i32, code: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{said}");
    assert!(said.contains(code) && output.stdout.is_empty(), "{said}");
}

#[tokio::test]
async fn the_command_line_lists_rotates_retires_and_revokes() {
    let ring = Ring::start(300, QUIET).await;
    let list = json(&ring.symbolon_key(&["list", "-o", "json"]));
    for algorithm in ALGORITHMS {
        let [(kid, "active")] = of(&list, algorithm)[..] else { panic!("{list}") };
        assert_eq!(kid, key_id(&ring.token(algorithm).await));
    }
    let table = ring.symbolon_key(&["list"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("KID") && table.lines().count() == 5, "{table}");

    let list = json(&ring.symbolon_key(&["rotate", "--algorithm", "EdDSA", "-o", "json"]));
    let [(first, "active"), (next, "published")] = of(&list, "EdDSA")[..] else { panic!("{list}") };
    assert!(ring.published().await.contains(&next.to_owned()));
    assert_eq!(of(&list, "ES256").len(), 1);
    refused(&ring.symbolon_key(&["rotate", "--algorithm", "EdDSA"]), 1, "rotation_under_way");
    refused(&ring.symbolon_key(&["retire", first]), 1, "key_signs");
    wait_for("the next key signs", Duration::from_secs(20), async || {
        key_id(&ring.token("EdDSA").await) == next
    })
    .await;
    refused(&ring.symbolon_key(&["retire", first]), 1, "key_retired");
    assert!(ring.published().await.contains(&first.to_owned()), "its tokens are still valid");

    let list = json(&ring.symbolon_key(&["rotate", "--algorithm", "ES256", "-o", "json"]));
    let [_, (withdrawn, "published")] = of(&list, "ES256")[..] else { panic!("{list}") };
    json(&ring.symbolon_key(&["retire", withdrawn, "-o", "json"]));
    wait_for("a key that never signed goes", Duration::from_secs(20), async || {
        !ring.published().await.contains(&withdrawn.to_owned())
    })
    .await;

    let list = json(&ring.symbolon_key(&["revoke", first, "-o", "json"]));
    assert!(of(&list, "EdDSA").iter().all(|(kid, _)| *kid != first));
    assert_eq!(list["revoked"][0]["kid"], first);
    refused(&ring.symbolon_key(&["revoke", NO_KEY]), 1, "unknown_key");
    refused(&ring.symbolon_key(&["rotate", "--algorithm", "HS256"]), 64, "algorithm_not_in_use");
    refused(&ring.symbolon_key(&["revoke", "../decisions"]), 64, "not a key id");
    refused(&ring.symbolon_key(&["list", "--state-dir", "/nowhere", "--frobnicate"]), 64, "frobnicate");
}

#[tokio::test]
async fn without_a_broker_the_command_line_says_so() {
    let mut ring = Ring::start(300, QUIET).await;
    ring.broker.process.kill();
    refused(&ring.symbolon_key(&["list"]), 69, "cannot connect");
}

#[tokio::test]
async fn requests_that_mean_nothing_are_refused_with_a_code() {
    let ring = Ring::start(300, QUIET).await;
    let kid = key_id(&ring.token("ES256").await);
    let rotate = |parameter: &str, value: &str| Call::form("/v1/keys/rotate", &[(parameter, value)]);
    let about = |kid: &str, change: &str| Call::form(&format!("/v1/keys/{kid}/{change}"), &[]);
    let long = "x".repeat(5000);
    for (call, status, code) in [
        (rotate("algorithm", "none"), 400, "algorithm_not_in_use"),
        (rotate("algorithm", "ES512"), 400, "algorithm_not_in_use"),
        (rotate("alg", "ES256"), 400, "malformed_request"),
        (
            Call::form("/v1/keys/rotate", &[("algorithm", "ES256"), ("algorithm", "EdDSA")]),
            400,
            "malformed_request",
        ),
        (rotate("algorithm", &long), 413, "too_large"),
        (Call::post("/v1/keys/rotate", "application/json", "{}"), 415, "malformed_request"),
        (about(NO_KEY, "retire"), 404, "unknown_key"),
        (about(NO_KEY, "revoke"), 404, "unknown_key"),
        (about("short", "revoke"), 400, "malformed_request"),
        (about(&format!("{kid}A"), "revoke"), 400, "malformed_request"),
        (Call::form(&format!("/v1/keys/{kid}/revoke"), &[("force", "1")]), 400, "malformed_request"),
        (Call::post(&format!("/v1/keys/{kid}/revoke"), "text/plain", &long), 413, "too_large"),
        (about(&kid, "retire"), 409, "key_signs"),
    ] {
        let shown = format!("{call:?}").chars().take(300).collect::<String>();
        let answer = ring.admin(call).await;
        assert_eq!((answer.status, answer.text("code").as_str()), (status, code), "{shown}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    for (call, status) in [
        (Call::form("/v1/keys", &[]), 405),
        (Call::get("/v1/keys/rotate"), 405),
        (Call::get(&format!("/v1/keys/{kid}/revoke")), 405),
        (Call::get(&format!("/v1/keys/{kid}")), 404),
        (about(&kid, "activate"), 404),
    ] {
        assert_eq!(ring.admin(call).await.status, status);
    }
    assert_eq!(key_id(&ring.token("ES256").await), kid, "none of it changed anything");
}

#[tokio::test]
async fn keys_are_shown_and_changed_on_the_admin_socket_only() {
    let ring = Ring::start(300, QUIET).await;
    let kid = key_id(&ring.token("ES256").await);
    let revoke = format!("/v1/keys/{kid}/revoke");
    for call in [Call::get("/v1/keys"), Call::form("/v1/keys/rotate", &[]), Call::form(&revoke, &[])] {
        for place in [ring.broker.address, ring.broker.admin] {
            assert_eq!(call.clone().send(place).await.unwrap().status, 404);
        }
        assert_eq!(call.send(ring.broker.socket().as_path()).await.unwrap().status, 404);
    }
    assert_eq!(ring.published().await.len(), ALGORITHMS.len());
    assert_eq!(key_id(&ring.token("ES256").await), kid);
}

#[tokio::test]
async fn the_key_set_says_how_long_it_may_be_kept_and_discovery_names_the_algorithms() {
    let ring = Ring::start(300, "lead: 20s, rotate_every: 1h, retain: 1h").await;
    let get = async |tag: Option<&str>| {
        let call = Call::get("/.well-known/jwks.json");
        let call = tag.map_or(call.clone(), |tag| call.header("if-none-match", tag));
        call.send(ring.broker.address).await.unwrap()
    };
    let first = get(None).await;
    assert_eq!((first.status, first.header("cache-control").as_str()), (200, "public, max-age=10"));
    let tag = first.header("etag");
    let again = get(Some(&tag)).await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.clone()));
    let list = ring.keys().await;
    for (key, document) in first.json()["keys"].as_array().unwrap().iter().zip(&list) {
        assert_eq!((&key["kid"], &key["alg"]), (&document["kid"], &document["algorithm"]));
        assert!(["d", "p", "q", "dp", "dq", "qi", "k"].iter().all(|member| key.get(member).is_none()));
    }
    assert_eq!(ring.admin(Call::form("/v1/keys/rotate", &[])).await.status, 200);
    let changed = get(Some(&tag)).await;
    assert_eq!((changed.status, changed.json()["keys"].as_array().unwrap().len()), (200, 8));
    let discovery = Call::get("/.well-known/openid-configuration").send(ring.broker.address).await.unwrap();
    let mut named: Vec<String> =
        serde_json::from_value(discovery.json()["id_token_signing_alg_values_supported"].clone()).unwrap();
    let mut expected = ALGORITHMS.map(str::to_owned);
    named.sort();
    expected.sort();
    assert_eq!(named, expected);
}
