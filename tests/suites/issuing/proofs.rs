//! Proofs of possession at the token endpoint (RFC 9449 §5).
//! Not here: proofs at the gateway.

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{TestIssuer, encode, random};
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

#[tokio::test]
async fn a_bearer_resource_binds_its_token_if_a_proof_comes_along() {
    let issuing = Issuing::start().await;
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    let proof = issuing.proof(&key, "POST", "/oauth2/token", now());
    let notes = [("grant_type", "client_credentials"), ("resource", "https://notes.test")];
    let call = Call::form("/oauth2/token", &notes).header("dpop", &proof);
    let answer = call.send(issuing.broker.socket().as_path()).await.unwrap();
    assert_eq!((answer.status, answer.text("token_type").as_str()), (200, "DPoP"));
    assert_eq!(claims(&answer.text("access_token"))["cnf"]["jkt"], key.thumbprint().to_string());
    let call = Call::form("/oauth2/token", &notes).header("dpop", "x.y.z");
    let answer = call.send(issuing.broker.socket().as_path()).await.unwrap();
    assert_refused(&answer, 400, "invalid_dpop_proof", "proof_invalid");
}

/// A key that signs any header over any claims.
struct Forger {
    key: TestIssuer,
    target: String,
}

impl Forger {
    fn public(&self) -> Value {
        let jwk = self.key.jwk();
        json!({"kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"]})
    }

    fn proof(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let mut header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.public()});
        let mut claims = json!({"jti": encode(&random()), "htm": "POST", "htu": self.target, "iat": now()});
        change(&mut header, &mut claims);
        self.key.sign(&header, &claims)
    }

    /// An honest proof without one claim.
    fn without(&self, claim: &str) -> String {
        self.proof(|_, claims| drop(claims.as_object_mut().unwrap().remove(claim)))
    }

    /// An honest proof with another member of the header; null takes it away.
    fn header(&self, member: &str, value: &Value) -> String {
        self.proof(|header, _| {
            if value.is_null() {
                header.as_object_mut().unwrap().remove(member);
            } else {
                header[member] = value.clone();
            }
        })
    }
}

#[tokio::test]
async fn a_proof_of_another_form_buys_nothing() {
    let issuing = Issuing::start().await;
    let forger = Forger { key: TestIssuer::new("x"), target: format!("{}/oauth2/token", issuing.broker.url) };
    let good = forger.proof(|_, _| {});
    assert_eq!(issuing.orders(&good).await.status, 200, "the forger can make an honest one");
    let queried = format!("{}?x=1#y", forger.target);
    let queried = forger.proof(|_, claims| claims["htu"] = json!(queried));
    assert_eq!(issuing.orders(&queried).await.status, 200, "query and fragment are not compared");
    let (covered, signature) = good.rsplit_once('.').unwrap();
    let mut private = forger.public();
    private["d"] = json!(encode(&[1; 32]));
    let other = Forger { key: TestIssuer::new("x"), target: String::new() }.public();
    let cases = [
        ("no jti", forger.without("jti")),
        ("no htm", forger.without("htm")),
        ("no htu", forger.without("htu")),
        ("no iat", forger.without("iat")),
        ("jti is a number", forger.proof(|_, claims| claims["jti"] = json!(7))),
        ("iat is a text", forger.proof(|_, claims| claims["iat"] = json!(now().to_string()))),
        ("the method in lower case", forger.proof(|_, claims| claims["htm"] = json!("post"))),
        ("another host", forger.proof(|_, claims| claims["htu"] = json!("https://evil.test/oauth2/token"))),
        ("no type", forger.header("typ", &Value::Null)),
        ("a JWT", forger.header("typ", &json!("JWT"))),
        ("an access token", forger.header("typ", &json!("at+jwt"))),
        ("alg none", forger.header("alg", &json!("none"))),
        ("alg HS256", forger.header("alg", &json!("HS256"))),
        ("alg ES384", forger.header("alg", &json!("ES384"))),
        ("no key", forger.header("jwk", &Value::Null)),
        ("a shared secret", forger.header("jwk", &json!({"kty": "oct", "k": "AAAA"}))),
        ("a private key", forger.header("jwk", &private)),
        ("another's key", forger.header("jwk", &other)),
        ("no signature", format!("{covered}.")),
        ("a part too many", format!("{good}.{signature}")),
        ("two in one header", format!("{good}, {good}")),
        ("a long one", "a".repeat(9_000)),
    ];
    for (what, proof) in cases {
        let answer = issuing.orders(&proof).await;
        assert_eq!(answer.text("error"), "invalid_dpop_proof", "{what}");
        assert_refused(&answer, 400, "invalid_dpop_proof", "proof_invalid");
    }
}
