//! Tokens that are bound to a key (J27), and the proofs that go with them (RFC 9449 §7).
//! Not here: proofs at the token endpoint.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::machine::now;
use symbolon_e2e::process::wait_for;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

use super::Verifying;

struct Bound {
    verifying: Verifying,
    key: ProofKey,
    token: String,
}

impl Bound {
    async fn start() -> Self {
        let verifying = Verifying::start().await;
        let key = ProofKey::generate(Algorithm::Es256).unwrap();
        let jkt = key.thumbprint().to_string();
        let token = verifying.changed(|claims| claims["cnf"] = json!({"jkt": jkt}));
        Self { verifying, key, token }
    }

    fn proof_with(key: &ProofKey, request: &ProofRequest<'_>, at: u64) -> String {
        key.prove(request, Timestamp::from_secs(at).unwrap()).unwrap()
    }

    fn target(&self) -> String {
        format!("http://{}/orders/1", self.verifying.gateway.address)
    }

    fn proof(&self) -> String {
        let target = self.target();
        let request =
            ProofRequest { method: "GET", target_uri: &target, access_token: Some(&self.token), nonce: None };
        Self::proof_with(&self.key, &request, now())
    }

    async fn present(&self, scheme: &str, proofs: &[&str]) -> Answer {
        let mut call =
            Call::get("/orders/1?page=2").header("authorization", &format!("{scheme} {}", self.token));
        for proof in proofs {
            call = call.header("dpop", proof);
        }
        call.send(self.verifying.gateway.address).await.unwrap()
    }

    fn assert_refused(what: &str, answer: &Answer, codes: &[&str]) {
        let code = answer.text("code");
        assert!(
            matches!(answer.status, 400 | 401) && codes.contains(&code.as_str()),
            "{what}: {} {code}",
            answer.status
        );
    }
}

#[tokio::test]
async fn a_bound_token_passes_with_a_fresh_proof_each_time() {
    let bound = Bound::start().await;
    for _ in 0..3 {
        let answer = bound.present("DPoP", &[&bound.proof()]).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert!(answer.json()["headers"].get("dpop").is_none());
    }
}

#[tokio::test]
async fn a_restart_does_not_open_the_door_to_proofs_that_were_used_before() {
    let mut bound = Bound::start().await;
    let (used, made_at) = (bound.proof(), now());
    assert_eq!(bound.present("DPoP", &[&used]).await.status, 200);
    bound.verifying.gateway.process.stop(Signal::TERM).await;
    wait_for("the next second", Duration::from_secs(5), async || now() > made_at).await;
    bound.verifying.gateway.restart().await;
    bound.verifying.gateway.ready().await;
    let replayed = bound.present("DPoP", &[&used]).await;
    assert_eq!((replayed.status, replayed.text("code").as_str()), (503, "replay_unavailable"));
    assert!(!replayed.header("retry-after").is_empty());
    assert_eq!(bound.present("DPoP", &[&bound.proof()]).await.status, 200);
    assert_eq!(bound.verifying.api.requests(), 2);
}

#[tokio::test]
async fn a_bound_token_is_worth_nothing_without_its_key() {
    let bound = Bound::start().await;
    Bound::assert_refused("no proof", &bound.present("DPoP", &[]).await, &["proof_missing"]);
    Bound::assert_refused(
        "as bearer",
        &bound.present("Bearer", &[]).await,
        &["proof_missing", "binding_mismatch"],
    );
    Bound::assert_refused(
        "as bearer with proof",
        &bound.present("Bearer", &[&bound.proof()]).await,
        &["proof_missing", "proof_invalid", "binding_mismatch", "malformed_request"],
    );
    let proof = bound.proof();
    assert_eq!(bound.present("DPoP", &[&proof]).await.status, 200);
    Bound::assert_refused("a used proof", &bound.present("DPoP", &[&proof]).await, &["proof_replayed"]);
    let stranger = ProofKey::generate(Algorithm::Es256).unwrap();
    let target = bound.target();
    let request =
        ProofRequest { method: "GET", target_uri: &target, access_token: Some(&bound.token), nonce: None };
    let proof = Bound::proof_with(&stranger, &request, now());
    Bound::assert_refused("another key", &bound.present("DPoP", &[&proof]).await, &["binding_mismatch"]);
    let two = [bound.proof(), bound.proof()];
    Bound::assert_refused(
        "two proofs",
        &bound.present("DPoP", &[&two[0], &two[1]]).await,
        &["proof_invalid", "malformed_request", "multiple_tokens"],
    );
    assert_eq!(bound.verifying.api.requests(), 1);
}

#[tokio::test]
async fn a_proof_is_for_one_request_now() {
    let bound = Bound::start().await;
    let target = bound.target();
    let other_path = format!("http://{}/orders/2", bound.verifying.gateway.address);
    let good =
        ProofRequest { method: "GET", target_uri: &target, access_token: Some(&bound.token), nonce: None };
    for (what, request, at, codes) in [
        ("another method", ProofRequest { method: "POST", ..good }, now(), ["proof_invalid"]),
        ("another path", ProofRequest { target_uri: &other_path, ..good }, now(), ["proof_invalid"]),
        (
            "another host",
            ProofRequest { target_uri: "http://evil.test/orders/1", ..good },
            now(),
            ["proof_invalid"],
        ),
        ("another token", ProofRequest { access_token: Some("x"), ..good }, now(), ["proof_invalid"]),
        ("no token hash", ProofRequest { access_token: None, ..good }, now(), ["proof_invalid"]),
        ("too old", good, now() - 90, ["proof_expired"]),
        ("from the future", good, now() + 60, ["proof_expired"]),
    ] {
        let proof = Bound::proof_with(&bound.key, &request, at);
        Bound::assert_refused(what, &bound.present("DPoP", &[&proof]).await, &codes);
    }
    let garbage = ["x".to_owned(), "a.b.c".to_owned(), bound.token.clone()];
    for proof in &garbage {
        Bound::assert_refused("garbage", &bound.present("DPoP", &[proof]).await, &["proof_invalid"]);
    }
    assert_eq!(bound.verifying.api.requests(), 0);
}

#[tokio::test]
async fn a_confirmation_that_we_cannot_check_is_a_refusal() {
    let verifying = Verifying::start().await;
    for cnf in [
        json!({}),
        json!({"x5t#S256": "AAAA"}),
        json!({"jkt": "short"}),
        json!({"jkt": 7}),
        json!("x"),
        json!({"jwk": {}}),
        json!(null),
    ] {
        let token = verifying.changed(|claims| claims["cnf"] = cnf.clone());
        let answer = verifying.bearer(&token).await;
        assert_eq!(answer.status, 401, "cnf {cnf}: {}", answer.text("code"));
    }
    assert_eq!(verifying.api.requests(), 0);
}
