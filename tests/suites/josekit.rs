//! josekit as an independent second verifier of everything that we sign.
//! Not here: our own verifier, which never uses josekit.

use josekit::jwk::Jwk;
use josekit::jws::alg::ecdsa::EcdsaJwsVerifier;
use josekit::jws::{ES256, EdDSA};
use serde_json::Value;
use symbolon_e2e::dev::Dev;
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::{decode, encode};
use symbolon_e2e::machine::now;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

#[tokio::test]
async fn josekit_verifies_our_tokens_from_our_key_set() {
    let dev = Dev::shared().await;
    let token = token(&dev).await;
    let (payload, header) =
        josekit::jwt::decode_with_verifier(&token, &verifier(&dev, &token).await).unwrap();
    assert_eq!(header.token_type(), Some("at+jwt"));
    assert_eq!(header.algorithm(), Some("ES256"));
    assert_eq!(payload.issuer(), Some(dev.text("broker.url")));
    assert!(payload.audience().unwrap().contains(&"https://notes.internal"));
    for required in ["exp", "iat", "jti", "sub", "client_id"] {
        assert!(payload.claim(required).is_some(), "RFC 9068 §2.2 requires `{required}`");
    }
}

#[tokio::test]
async fn josekit_refuses_our_tokens_when_they_were_tampered_with() {
    let dev = Dev::shared().await;
    let token = token(&dev).await;
    let verifier = verifier(&dev, &token).await;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let mut claims: Value = serde_json::from_slice(&decode(payload)).unwrap();
    claims["sub"] = Value::from("spiffe://dev.symbolon.local/root");
    let mut other_signature = decode(signature);
    other_signature[0] ^= 1;
    for tampered in [
        format!("{header}.{}.{signature}", encode(claims.to_string().as_bytes())),
        format!("{header}.{payload}.{}", encode(&other_signature)),
        format!("{header}.{payload}."),
        format!("{}.{payload}.", encode(br#"{"alg":"none"}"#)),
    ] {
        assert!(josekit::jwt::decode_with_verifier(&tampered, &verifier).is_err(), "{tampered}");
    }
}

#[test]
fn josekit_verifies_our_proofs_with_the_key_that_they_carry() {
    let now = Timestamp::from_secs(now()).unwrap();
    let request =
        ProofRequest { method: "GET", target_uri: "https://a.test/x", access_token: Some("t"), nonce: None };
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let proof = ProofKey::generate(algorithm).unwrap().prove(&request, now).unwrap();
        let header: Value = serde_json::from_slice(&decode(proof.split('.').next().unwrap())).unwrap();
        let mut jwk = header["jwk"].clone();
        jwk["alg"] = header["alg"].clone();
        let jwk = Jwk::from_bytes(jwk.to_string()).unwrap();
        let (payload, _) = match algorithm {
            Algorithm::Es256 => {
                josekit::jwt::decode_with_verifier(&proof, &ES256.verifier_from_jwk(&jwk).unwrap())
            }
            _ => josekit::jwt::decode_with_verifier(&proof, &EdDSA.verifier_from_jwk(&jwk).unwrap()),
        }
        .unwrap();
        assert_eq!(payload.claim("htu").and_then(Value::as_str), Some("https://a.test/x"));
        assert_eq!(payload.claim("ath").and_then(Value::as_str).map(str::len), Some(43));
    }
}

async fn token(dev: &Dev) -> String {
    let call = Call::get("/v1/token?upstream=notes").header("symbolon-request", "true");
    let answer = call.send(dev.address("sidecar.url")).await.unwrap();
    assert_eq!(answer.status, 200);
    answer.text("access_token")
}

/// A verifier with the published key that the token names.
async fn verifier(dev: &Dev, token: &str) -> EcdsaJwsVerifier {
    let answer = Call::get("/.well-known/jwks.json").send(dev.address("broker.url")).await.unwrap();
    let header: Value = serde_json::from_slice(&decode(token.split('.').next().unwrap())).unwrap();
    let keys = answer.json();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    ES256.verifier_from_jwk(&Jwk::from_bytes(key.to_string()).unwrap()).unwrap()
}
