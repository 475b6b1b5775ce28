//! Proofs of possession at the token endpoint (RFC 9449 §5).
//! Not here: proofs at the gateway.

use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::machine::now;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

use super::{Issuing, assert_refused, claims};

const ORDERS: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("resource", "https://orders.test")];

impl Issuing {
    fn proof(&self, key: &ProofKey, method: &str, path: &str, at: u64) -> String {
        let target = format!("{}{path}", self.broker.url);
        let request = ProofRequest { method, target_uri: &target, access_token: None, nonce: None };
        key.prove(&request, Timestamp::from_secs(at).unwrap()).unwrap()
    }

    async fn orders(&self, proof: &str) -> Answer {
        let call = Call::form("/oauth2/token", &ORDERS).header("dpop", proof);
        call.send(self.broker.socket().as_path()).await.unwrap()
    }
}

#[tokio::test]
async fn a_proof_binds_the_token_to_its_key_once() {
    let issuing = Issuing::start().await;
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = ProofKey::generate(algorithm).unwrap();
        let proof = issuing.proof(&key, "POST", "/oauth2/token", now());
        let answer = issuing.orders(&proof).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.text("token_type"), "DPoP");
        assert_eq!(claims(&answer.text("access_token"))["cnf"]["jkt"], key.thumbprint().to_string());
        assert_refused(&issuing.orders(&proof).await, 400, "invalid_dpop_proof", "proof_replayed");
    }
}

#[tokio::test]
async fn a_bound_resource_gives_nothing_without_a_good_proof() {
    let issuing = Issuing::start().await;
    assert_refused(&issuing.socket(&ORDERS).await, 400, "invalid_dpop_proof", "proof_missing");
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    for (proof, code) in [
        (issuing.proof(&key, "GET", "/oauth2/token", now()), "proof_invalid"),
        (issuing.proof(&key, "POST", "/oauth2/revoke", now()), "proof_invalid"),
        (issuing.proof(&key, "POST", "/oauth2/token", now() - 120), "proof_expired"),
        (issuing.proof(&key, "POST", "/oauth2/token", now() + 60), "proof_expired"),
        ("x.y.z".to_owned(), "proof_invalid"),
    ] {
        assert_refused(&issuing.orders(&proof).await, 400, "invalid_dpop_proof", code);
    }
    let (one, two) = (
        issuing.proof(&key, "POST", "/oauth2/token", now()),
        issuing.proof(&key, "POST", "/oauth2/token", now()),
    );
    let call = Call::form("/oauth2/token", &ORDERS).header("dpop", &one).header("dpop", &two);
    let answer = call.send(issuing.broker.socket().as_path()).await.unwrap();
    assert_eq!((answer.status, answer.text("error").as_str()), (400, "invalid_dpop_proof"), "two proofs");
}
