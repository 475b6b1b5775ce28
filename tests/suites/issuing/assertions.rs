//! Client assertions: one use each, our issuer as the only audience, and strict in everything else.
//! Not here: evidence of platforms.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use serde_json::{Value, json};
use symbolon_e2e::issuer::{KEY_ID, TestIssuer, encode, twin};
use symbolon_e2e::machine::now;
use symbolon_e2e::programs::Broker;
use tokio::task::JoinSet;

use super::{CLIENT, Issuing, JWT_BEARER, assert_refused, claims};

#[tokio::test]
async fn an_assertion_buys_once() {
    let issuing = Issuing::start().await;
    let assertion = issuing.assertion();
    assert_eq!(issuing.present(&assertion).await.status, 200);
    for _ in 0..3 {
        assert_refused(&issuing.present(&assertion).await, 401, "invalid_client", "evidence_replayed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_at_once_exactly_one_wins() {
    let issuing = std::sync::Arc::new(Issuing::start().await);
    let assertion = issuing.assertion();
    let mut presented = JoinSet::new();
    for _ in 0..100 {
        let (issuing, assertion) = (std::sync::Arc::clone(&issuing), assertion.clone());
        presented.spawn(async move { issuing.present(&assertion).await });
    }
    let answers = presented.join_all().await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    for lost in answers.iter().filter(|answer| answer.status != 200) {
        assert_refused(lost, 401, "invalid_client", "evidence_replayed");
    }
}

#[tokio::test]
async fn a_spent_assertion_stays_spent_after_a_restart() {
    let mut issuing = Issuing::start().await;
    let assertion = issuing.assertion();
    assert_eq!(issuing.present(&assertion).await.status, 200);
    issuing.broker.process.kill();
    issuing.broker.restart().await;
    assert_refused(&issuing.present(&assertion).await, 401, "invalid_client", "evidence_replayed");
}

#[tokio::test]
async fn an_assertion_with_wrong_claims_buys_nothing() {
    let issuing = Issuing::start().await;
    let url = issuing.broker.url.clone();
    let changes: Vec<(&str, Value)> = vec![
        ("aud", json!("https://other.example")),
        ("aud", json!(format!("{url}/oauth2/token"))),
        ("aud", json!(format!("{url}/"))),
        ("aud", json!([url, "https://other.example"])),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("iss", json!("somebody")),
        ("iss", json!(url)),
        ("sub", json!("somebody")),
        ("sub", Value::Null),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("exp", Value::Null),
        ("exp", json!(now() - 1)),
        ("exp", json!((now() + 60).to_string())),
        ("exp", json!(now() + 100 * 365 * 86_400)),
        ("exp", json!(1e300)),
        ("exp", json!(-1)),
        ("iat", json!(now() + 600)),
        ("iat", json!(now() - 86_400)),
        ("nbf", json!(now() + 600)),
    ];
    for (member, value) in changes {
        let mut claims = issuing.assertion_claims();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(member);
        } else {
            claims[member] = value.clone();
        }
        let assertion = issuing.client.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &claims);
        let answer = issuing.present(&assertion).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(
            (answer.status, answer.text("error").as_str()),
            (401, "invalid_client"),
            "{member} = {value}: {said}"
        );
    }
    let spent = issuing.present(&issuing.assertion()).await;
    assert_eq!(spent.status, 200, "the client itself is still welcome");
}

#[tokio::test]
async fn an_assertion_by_another_key_or_algorithm_buys_nothing() {
    let issuing = Issuing::start().await;
    let stranger = TestIssuer::new("tester");
    let claims = issuing.assertion_claims();
    let header = json!({"alg": "ES256", "kid": KEY_ID});
    let genuine = issuing.client.sign(&header, &claims);
    let (signed, _) = genuine.rsplit_once('.').unwrap();
    let payload = signed.split('.').nth(1).unwrap();
    let none = encode(br#"{"alg":"none"}"#);
    for (what, assertion) in [
        ("another key", stranger.sign(&header, &claims)),
        (
            "another key that it brings along",
            stranger.sign(&json!({"alg": "ES256", "jwk": stranger.jwk()}), &claims),
        ),
        ("no signature", format!("{signed}.")),
        ("alg none", format!("{none}.{payload}.")),
        ("not a token", "x".to_owned()),
        ("a very long one", "a".repeat(20_000)),
    ] {
        let answer = issuing.present(&assertion).await;
        assert_eq!((answer.status, answer.text("error").as_str()), (401, "invalid_client"), "{what}");
        assert!(answer.json().get("access_token").is_none(), "{what}");
    }
    assert_eq!(issuing.present(&genuine).await.status, 200, "the genuine one is still good");
}

#[tokio::test]
async fn the_twin_of_a_signature_does_not_make_an_assertion_new() {
    let issuing = Issuing::start().await;
    let (first, second) = (issuing.assertion(), issuing.assertion());
    for (spent, again) in [(first.clone(), twin(&first)), (twin(&second), second)] {
        assert_ne!(spent, again);
        assert_eq!(issuing.present(&spent).await.status, 200, "J20: both forms of a signature verify");
        assert_refused(&issuing.present(&again).await, 401, "invalid_client", "evidence_replayed");
    }
}

#[tokio::test]
async fn an_access_token_of_ours_is_no_assertion() {
    let issuing = Issuing::start().await;
    let token = issuing.present(&issuing.assertion()).await.text("access_token");
    assert_eq!(claims(&token)["iss"], issuing.broker.url);
    let answer = issuing.present(&token).await;
    assert_eq!((answer.status, answer.text("error").as_str()), (401, "invalid_client"));
}

#[tokio::test]
async fn an_assertion_comes_with_its_type_and_names_the_client_that_is_named_beside_it() {
    let issuing = Issuing::start().await;
    for named in [CLIENT, "spiffe://test.example/client/tester"] {
        let assertion = issuing.assertion();
        let fields =
            [("client_assertion_type", JWT_BEARER), ("client_assertion", &assertion), ("client_id", named)];
        assert_eq!(issuing.tcp(&fields).await.status, 200, "{named}");
    }
    let (assertion, another) = (issuing.assertion(), issuing.assertion());
    let (kind, sent) = (("client_assertion_type", JWT_BEARER), ("client_assertion", assertion.as_str()));
    let saml = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer");
    let invalid_request = (400, "invalid_request", "malformed_request");
    for (fields, (status, error, code)) in [
        (vec![kind, sent, ("client_id", "somebody")], (401, "invalid_client", "unknown_client")),
        (vec![saml, sent], (401, "invalid_client", "unsupported_assertion_type")),
        (vec![sent], invalid_request),
        (vec![kind], invalid_request),
        (vec![kind, sent, ("client_assertion", &another)], invalid_request),
    ] {
        assert_refused(&issuing.tcp(&fields).await, status, error, code);
    }
    let two = format!("{assertion} {another}");
    let answer = issuing.present(&two).await;
    assert_eq!((answer.status, answer.text("error").as_str()), (401, "invalid_client"));
    assert_eq!(issuing.present(&assertion).await.status, 200, "nothing of this used it up");
}

#[tokio::test]
async fn an_assertion_may_be_signed_with_rs256_and_say_more_than_we_ask() {
    let key = Rsa::generate(2048).unwrap();
    let (n, e) = (encode(&key.n().to_vec()), encode(&key.e().to_vec()));
    let jwk = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID, "n": n, "e": e});
    let broker = Broker::start(CLIENT, &json!({"keys": [jwk]}).to_string(), "").await;
    let client = Issuing { broker, client: TestIssuer::new(CLIENT) };
    let mut said = client.assertion_claims();
    said["favourite_colour"] = json!(["blue"]);
    let header = json!({"alg": "RS256", "kid": KEY_ID});
    let covered =
        format!("{}.{}", encode(header.to_string().as_bytes()), encode(said.to_string().as_bytes()));
    let key = PKey::from_rsa(key).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    let mut signature = signer.sign_oneshot_to_vec(covered.as_bytes()).unwrap();
    let good = format!("{covered}.{}", encode(&signature));
    signature[100] ^= 1;
    let answer = client.present(&format!("{covered}.{}", encode(&signature))).await;
    assert_refused(&answer, 401, "invalid_client", "bad_signature");
    let answer = client.present(&good).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}
