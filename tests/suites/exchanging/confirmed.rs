//! JWTs whose issuer is asked whether they still count, after its keys have proved them.
//! Not here: a real issuer that revokes (`peers`).

use serde_json::{Value, json};
use symbolon_e2e::introspection::{OpaqueIssuer, Reply};
use symbolon_e2e::issuer::TestIssuer;

use super::{ACCESS_TOKEN, BACK, Exchanging, ID_TOKEN, KEY_ID, assert_refused, claims, said};

struct Confirming {
    exchanging: Exchanging,
    signer: TestIssuer,
    endpoint: OpaqueIssuer,
}

impl Confirming {
    async fn start() -> Self {
        let (signer, endpoint) = (TestIssuer::new("http://127.0.0.1:1/signer"), OpaqueIssuer::start().await);
        let issuers = format!(
            "  - {{ name: signer, issuer: \"{}\", dev: true, keys: {{ jwks: {} }}, audiences: [\"https://app.test\"], id_tokens: true, introspection: {{ jwts: true, client_id: us, endpoint: \"{}\" }} }}\n",
            signer.url,
            signer.jwks(),
            endpoint.endpoint()
        );
        Self { exchanging: Exchanging::start_among(&issuers, "", "").await, signer, endpoint }
    }

    /// A good JWT about which the endpoint says this.
    fn token(&self, reply: impl FnOnce(&Value) -> Reply) -> String {
        let mut claims = self.signer.claims("https://app.test");
        claims["sub"] = json!("alice");
        let token = self.signer.sign(&self.signer.header(), &claims);
        self.endpoint.says(&token, reply(&claims));
        token
    }
}

#[tokio::test]
async fn a_jwt_counts_only_as_long_as_its_issuer_says_so() {
    let confirming = Confirming::start().await;
    let pass_on = async |token: &str| confirming.exchanging.pass_on(0, token, BACK).await;
    for said_of_it in
        [json!({"active": true}), json!({"active": true, "sub": "alice", "iss": confirming.signer.url})]
    {
        let token = confirming.token(|_| Reply::Json(said_of_it));
        let answer = pass_on(&token).await;
        assert_eq!(answer.status, 200, "{}", said(&answer));
        assert_eq!(claims(&answer.text("access_token"))["sub"], "signer:alice");
        confirming.endpoint.says(&token, Reply::Json(json!({"active": false})));
        assert_refused("not any more", &pass_on(&token).await, "invalid_request", "inactive");
    }
    for (what, reply) in [
        ("another subject", Reply::Json(json!({"active": true, "sub": "bob"}))),
        ("another issuer", Reply::Json(json!({"active": true, "iss": "https://evil.test"}))),
        ("another token", Reply::Json(json!({"active": true, "jti": "other"}))),
        ("no text", Reply::Json(json!({"active": true, "sub": 7}))),
        ("a fault", Reply::Raw(500, "application/json", "{\"active\":true}".to_owned())),
    ] {
        let answer = pass_on(&confirming.token(|_| reply)).await;
        assert_eq!(answer.status, 503, "{what}: {}", said(&answer));
        assert!(answer.text("error_description").starts_with("issuer_unavailable:"), "{what}");
    }
}

#[tokio::test]
async fn nobody_is_asked_about_what_would_not_be_taken_anyway_nor_about_id_tokens() {
    let confirming = Confirming::start().await;
    let (good, signer) = (confirming.token(|_| Reply::Json(json!({"active": true}))), &confirming.signer);
    let stranger = TestIssuer::new(&signer.url);
    let forged = stranger.sign(&stranger.header(), &signer.claims("https://app.test"));
    let answer = confirming.exchanging.pass_on(0, &forged, BACK).await;
    assert_refused("forged", &answer, "invalid_request", "bad_signature");
    let subject = confirming.exchanging.front_token().await;
    let fields = [
        ("subject_token", subject.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("actor_token", &good),
        ("actor_token_type", ACCESS_TOKEN),
        ("resource", BACK),
    ];
    let answer = confirming.exchanging.exchange(0, &fields).await;
    assert_refused("its actor", &answer, "invalid_request", "actor_not_allowed");
    let mut about = signer.claims("https://app.test");
    about["sub"] = json!("alice");
    let id_token = signer.sign(&json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}), &about);
    let fields = [("subject_token", id_token.as_str()), ("subject_token_type", ID_TOKEN), ("resource", BACK)];
    let answer = confirming.exchanging.exchange(0, &fields).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    assert!(confirming.endpoint.questions().is_empty(), "{:?}", confirming.endpoint.questions());
}
