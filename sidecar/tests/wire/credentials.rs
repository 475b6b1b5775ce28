//! Where tokens come from, how long they are used, and what happens without one.
//! The timing of attempts is tested beside its state machine.

use std::time::Duration;

use symbolon_daemon::Clock;
use symbolon_identity::{DecisionId, ReasonCode, Timestamp};
use symbolon_proof::{ProofExpectation, check};

use crate::broker::{AWAY, DECISION, GRANT, Mood};
use crate::caller::Call;
use crate::rig::{Plan, Rig, eventually};

#[tokio::test]
async fn the_broker_is_asked_over_its_socket_with_a_proof_for_its_public_endpoint() {
    let rig = Rig::start(&Plan::default());
    rig.broker.was_asked(1).await;
    let asked = rig.broker.asked().remove(0);
    assert!(asked.over_unix);
    let form: Vec<_> = asked.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("grant_type", "client_credentials"),
        ("resource", "https://orders.internal"),
        ("scope", "orders:read"),
    ];
    assert_eq!(form, expected);
    let target = format!("{}/oauth2/token", rig.broker_url);
    let expectation =
        ProofExpectation { method: "POST", targets: &[&target], access_token: None, nonce: None };
    check(&asked.proof, &expectation, Timestamp::from_secs(rig.clock.unix_seconds()).unwrap()).unwrap();
}

#[tokio::test]
async fn a_token_file_is_sent_as_client_assertion() {
    let evidence = "token_file: { path: \"{folder}/token\", provider: ci }";
    let rig = Rig::start(&Plan { evidence, socket: false, ..Plan::default() });
    // The platform writes it only now.
    std::fs::write(rig.folder.path().join("token"), "head.body.signature\n").unwrap();
    eventually(async || rig.call("/").send().await.status == 200).await;
    let asked = rig.broker.asked().remove(0);
    assert!(!asked.over_unix);
    assert_eq!(asked.form["client_assertion"], "head.body.signature");
    assert_eq!(asked.form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(asked.form["trust_provider"], "ci");
}

#[tokio::test]
async fn many_requests_at_once_make_one_question() {
    let rig = Rig::start(&Plan::default());
    rig.broker.hold(true);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let call = rig.call("/");
        calls.spawn(async move { call.send().await.status.as_u16() });
    }
    rig.broker.was_asked(1).await;
    rig.broker.hold(false);
    assert!(calls.join_all().await.into_iter().all(|status| status == 200));
    assert_eq!(rig.broker.count(), 1);
    assert_eq!(rig.api.seen().len(), 20);
}

#[tokio::test]
async fn upstreams_that_want_the_same_share_one_token() {
    let again = "  - name: again\n    listen: { tcp: \"127.0.0.1:0\", allow_any_local_process: true }\n    \
                 target: http://{api}\n    resource: https://orders.internal\n    scope: orders:read";
    let rig = Rig::start(&Plan { upstream: again, ..Plan::default() });
    assert_eq!(rig.call("/").send().await.status, 200);
    assert_eq!(Call::get(rig.door("again"), "/", &rig.lifecycle).send().await.status, 200);
    assert_eq!(rig.broker.count(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let rig = Rig::start(&Plan { broker: Mood::Grant { life: 2, token_type: "DPoP" }, ..Plan::default() });
    assert_eq!(rig.call("/").send().await.status, 200);
    assert_eq!(rig.api.last().field("authorization"), "DPoP opaque-1");
    // The wall clock stands still, so the first token has not ended: the second comes early, and by itself.
    rig.broker.was_asked(2).await;
    eventually(async || {
        rig.call("/").send().await;
        rig.api.last().field("authorization") == "DPoP opaque-2"
    })
    .await;
}

#[tokio::test]
async fn without_a_token_nothing_is_forwarded() {
    let rig = Rig::start(&Plan { broker: Mood::Away { retry_after: Some(40) }, ..Plan::default() });
    let answer = rig.call("/").send().await;
    assert_eq!(answer.problem(), (503, ReasonCode::TokenUnavailable, None));
    let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((38..=41).contains(&seconds), "{seconds}");
    assert!(rig.api.seen().is_empty());
    assert_eq!(rig.broker.count(), 1);
}

#[tokio::test]
async fn an_outage_is_ridden_out_until_the_token_ends_and_not_longer() {
    let rig = Rig::start(&Plan::default());
    assert_eq!(rig.call("/").send().await.status, 200);
    rig.broker.set(AWAY);
    rig.broker_life.shutdown();
    rig.clock.advance(Duration::from_secs(297));
    assert_eq!(rig.call("/").send().await.status, 200);
    // Two seconds are left, in which it could run out on the way: the app hears of the outage, not of a bad token.
    rig.clock.advance(Duration::from_secs(1));
    let answer = rig.call("/").send().await;
    assert_eq!(answer.problem(), (503, ReasonCode::TokenUnavailable, None));
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(rig.api.seen().len(), 2);
}

#[tokio::test]
async fn a_broker_that_comes_back_ends_the_outage() {
    let rig = Rig::start(&Plan { broker: AWAY, ..Plan::default() });
    assert_eq!(rig.call("/").send().await.status, 503);
    rig.broker.set(GRANT);
    eventually(async || rig.call("/").send().await.status == 200).await;
}

#[tokio::test]
async fn a_denial_reaches_the_app_with_its_decision_and_nothing_reaches_the_api() {
    let rig = Rig::start(&Plan { broker: Mood::Deny, ..Plan::default() });
    let id = DecisionId::parse(DECISION).unwrap();
    for _ in 0..20 {
        assert_eq!(rig.call("/").send().await.problem(), (403, ReasonCode::Denied, Some(id.clone())));
    }
    assert!(rig.api.seen().is_empty());
    assert!(rig.broker.count() <= 3, "asked {} times for 20 requests", rig.broker.count());
}

#[tokio::test]
async fn a_denial_that_was_lifted_is_noticed_by_the_next_requests() {
    let rig = Rig::start(&Plan { broker: Mood::Deny, ..Plan::default() });
    assert_eq!(rig.call("/").send().await.status, 403);
    rig.broker.set(GRANT);
    eventually(async || rig.call("/").send().await.status == 200).await;
}

#[tokio::test]
async fn one_request_on_a_denied_upstream_is_enough_to_have_the_broker_asked_within_a_second() {
    let rig = Rig::start(&Plan { broker: Mood::Deny, ..Plan::default() });
    assert_eq!(rig.call("/").send().await.status, 403);
    // Too early to ask again: the answer is the last one, and the question is put as soon as it may be.
    eventually(async || {
        let before = rig.broker.count();
        assert_eq!(rig.call("/").send().await.status, 403);
        rig.broker.count() == before
    })
    .await;
    let asked = rig.broker.count();
    rig.broker.set(GRANT);
    tokio::time::timeout(Duration::from_secs(3), rig.broker.was_asked(asked + 1)).await.unwrap();
    assert_eq!(rig.call("/").send().await.status, 200);
    assert_eq!(rig.broker.count(), asked + 1);
}

#[tokio::test]
async fn a_token_that_is_not_bound_is_discarded() {
    let rig =
        Rig::start(&Plan { broker: Mood::Grant { life: 300, token_type: "Bearer" }, ..Plan::default() });
    assert_eq!(rig.call("/").send().await.problem(), (503, ReasonCode::TokenUnavailable, None));
    assert!(rig.api.seen().is_empty());
    assert!(rig.health("/metrics").await.text().contains("outcome=\"discarded\""));
}
