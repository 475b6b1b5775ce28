//! That refusals are explained: the check which every suite's programs undergo, and that it can fail.
//! Not here: how an explanation reads (`policies::explained`, `stages::explained`).

use serde_json::{Value, json};
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::programs::Broker;
use symbolon_e2e::refusals::{check, explained};

async fn document(broker: &Broker, id: &str) -> Value {
    let call = Call::get(&format!("/v1/decisions/{id}"));
    call.send(broker.admin_socket().as_path()).await.unwrap().json()
}

fn stopped(document: &Value) -> (Value, Value) {
    let stages = document["stages"].as_array().unwrap();
    let stage = stages.iter().find(|stage| stage["outcome"] == "stopped").unwrap();
    (stage["stage"].clone(), document["reason"].clone())
}

#[tokio::test]
async fn who_is_turned_away_before_attestation_is_explained_too() {
    let broker = Broker::start("tester", &TestIssuer::new("tester").jwks().to_string(), "").await;
    let grant = ("grant_type", "client_credentials");
    let notes = ("resource", "https://notes.test");
    let jwt = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    for (fields, stage, reason) in [
        (vec![grant, notes], "evidence", "evidence_missing"),
        (vec![grant, notes, jwt, ("client_assertion", "x")], "evidence", "assertion_malformed"),
        (vec![notes], "received", "malformed_request"),
        (vec![("grant_type", "password"), notes], "received", "unsupported_grant_type"),
    ] {
        let refused = Call::form("/oauth2/token", &fields).send(broker.address).await.unwrap();
        let document = document(&broker, &refused.text("decision_id")).await;
        assert_eq!(stopped(&document), (json!(stage), json!(reason)), "{document}");
        assert!(document["facts"]["source"].is_string(), "{document}");
    }
    // Its own caller is not told more than the answer said.
    let refused = Call::form("/oauth2/token", &[grant, notes]).send(broker.address).await.unwrap();
    let own = Call::get(&format!("/v1/decisions/{}", refused.text("decision_id")));
    assert_eq!(own.send(broker.socket().as_path()).await.unwrap().status, 404);
}

#[tokio::test]
async fn what_a_caller_gets_again_and_again_is_explained_each_time() {
    let broker = Broker::start("tester", &TestIssuer::new("tester").jwks().to_string(), "").await;
    let fields =
        [("grant_type", "client_credentials"), ("resource", "https://notes.test"), ("scope", "notes:write")];
    for _ in 0..40 {
        let refused = Call::form("/oauth2/token", &fields).send(broker.socket().as_path()).await.unwrap();
        let document = document(&broker, &refused.text("decision_id")).await;
        assert_eq!(stopped(&document), (json!("policy"), json!("denied")), "{document}");
        assert!(document["near_misses"][0]["failed"][0]["condition"].is_string(), "{document}");
    }
    let found = explained(&broker.places(), &broker.admin_socket()).unwrap();
    assert!(found >= 40, "all of them are asked about when the program ends: {found}");
    assert_eq!(explained(&[], &broker.folder.path().join("nowhere")), Ok(0), "nothing was seen there");
}

#[test]
fn an_explanation_that_says_nothing_is_noticed() {
    let stage = |name: &str, detail: &str| json!({"stage": name, "outcome": "stopped", "detail": detail});
    let good =
        json!({"outcome": "refused", "reason": "expired", "stages": [stage("evidence", "it has expired")]});
    assert_eq!(check(&good), Ok(()));
    let denied = |more: Value| {
        let mut document =
            json!({"outcome": "denied", "reason": "denied", "stages": [stage("policy", "policy denies it")]});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        document
    };
    let failed = json!([{"condition": "context.key_bound", "expected": "true", "actual": "false"}]);
    assert_eq!(check(&denied(json!({"near_misses": [{"policy": "a", "failed": failed}]}))), Ok(()));
    for bad in [
        json!({}),
        json!({"outcome": "refused", "reason": "expired", "stages": []}),
        json!({"outcome": "refused", "reason": "expired", "stages": [stage("evidence", "")]}),
        json!({"outcome": "refused", "stages": [stage("evidence", "it has expired")]}),
        json!({"outcome": "refused", "reason": "expired", "stages": [stage("a", "b"), stage("c", "d")]}),
        denied(json!({})),
        denied(json!({"near_misses": [{"policy": "a", "failed": []}]})),
        denied(json!({"policies": ["a"]})),
    ] {
        assert!(check(&bad).is_err(), "{bad}");
    }
}
