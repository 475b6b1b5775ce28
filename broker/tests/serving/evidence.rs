//! What evidence is worth, and how often.
//! Not here: each single way in which a JWT can be wrong; the attestors' own tests have those.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::EVERYTHING;
use crate::harness::{CI, JWT_BEARER, Setup, proof_key};

const NOTES: (&str, &str) = ("audience", "notes");
const TYPE: (&str, &str) = ("client_assertion_type", JWT_BEARER);

#[tokio::test(flavor = "multi_thread")]
async fn without_evidence_nothing_is_issued_on_tcp() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let answer = broker.ask(&[NOTES], None).await;
    assert_eq!(
        (answer.status, answer.text("error"), answer.reason()),
        (401, "invalid_client", "evidence_missing")
    );
    assert!(answer.text("decision_id").starts_with("b-"));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x9_one_of_many_parallel_presentations_of_an_assertion_succeeds() {
    let setup = Setup::new(EVERYTHING);
    let broker = Arc::new(setup.start().await);
    let assertion = broker.jwt(&setup.client, "batch", "batch", 60);
    let presentations = (0..50).map(|_| {
        let (broker, assertion) = (Arc::clone(&broker), assertion.clone());
        async move { broker.ask(&[NOTES, TYPE, ("client_assertion", &assertion)], None).await }
    });
    let answers = join_all(presentations).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.reason() == "evidence_replayed"));
    Arc::into_inner(broker).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumed_assertion_stays_consumed_across_a_restart_also_after_a_denial() {
    let setup = Setup::new("");
    let broker = setup.start().await;
    let assertion = broker.jwt(&setup.client, "batch", "batch", 60);
    let fields = [NOTES, TYPE, ("client_assertion", assertion.as_str())];
    assert_eq!(broker.ask(&fields, None).await.reason(), "denied");
    let issuer = broker.addresses.issuer.clone();
    broker.stop().await;
    setup.policies(EVERYTHING);
    let broker = setup.try_start(issuer.as_str(), "").await.unwrap();
    assert_eq!(broker.ask(&fields, None).await.reason(), "evidence_replayed");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_bound_evidence_belongs_to_the_key_that_presented_it_first() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let token = broker.jwt(&setup.ci, CI, "team/repo", 600);
    let fields = [NOTES, TYPE, ("client_assertion", token.as_str())];
    let (owner, thief) = (proof_key(), proof_key());
    let unproved = broker.ask(&fields, None).await;
    assert_eq!((unproved.status, unproved.reason()), (401, "evidence_key_mismatch"), "a proof is needed");
    let recorded = broker.decision(unproved.text("decision_id")).await;
    assert_eq!(
        recorded.text("workload"),
        "spiffe://test.example/ci/team/repo",
        "on record, with whose it is"
    );
    assert_eq!((recorded.text("reason"), recorded.text("outcome")), ("evidence_key_mismatch", "refused"));
    for _ in 0..2 {
        assert_eq!(broker.ask(&fields, Some(&broker.prove(&owner))).await.status, 200);
    }
    let stolen = broker.ask(&fields, Some(&broker.prove(&thief))).await;
    assert_eq!((stolen.status, stolen.reason()), (401, "evidence_key_mismatch"));
    let recorded = broker.decision(stolen.text("decision_id")).await;
    assert_eq!((recorded.text("reason"), recorded.text("outcome")), ("evidence_key_mismatch", "refused"));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegated_token_buys_nothing_as_evidence() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    for assertion in [
        broker.delegated_jwt(&setup.ci, CI, "team/repo"),
        broker.delegated_jwt(&setup.client, "batch", "batch"),
    ] {
        let proof = broker.prove(&proof_key());
        let answer = broker.ask(&[NOTES, TYPE, ("client_assertion", &assertion)], Some(&proof)).await;
        assert_eq!(
            (answer.status, answer.text("error"), answer.reason()),
            (401, "invalid_client", "assertion_rejected")
        );
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_for_one_request() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let proof = broker.prove(&proof_key());
    let fields = [("resource", "https://orders.test")];
    assert_eq!(broker.ask_local(&fields, Some(&proof)).await.status, 200);
    let again = broker.ask_local(&fields, Some(&proof)).await;
    assert_eq!(
        (again.status, again.text("error"), again.reason()),
        (400, "invalid_dpop_proof", "proof_replayed")
    );
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_outlive_reusable_evidence() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let key = proof_key();
    let orders = ("resource", "https://orders.test");
    let token = broker.jwt(&setup.ci, CI, "repo", 100);
    let fields = [orders, TYPE, ("client_assertion", token.as_str())];
    let answer = broker.ask(&fields, Some(&broker.prove(&key))).await;
    assert!(answer.body["expires_in"].as_u64().unwrap() <= 100, "{answer:?}");
    let token = broker.jwt(&setup.ci, CI, "repo", 20);
    let fields = [orders, TYPE, ("client_assertion", token.as_str())];
    let answer = broker.ask(&fields, Some(&broker.prove(&key))).await;
    assert_eq!((answer.status, answer.reason()), (401, "evidence_expiring"));
    broker.stop().await;
}
