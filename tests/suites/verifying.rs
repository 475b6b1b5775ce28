//! Bad credentials at the gateway, over the wire. The numbers J1 … are those of the list of bad inputs with lineage.
//! Not here: the same cases without a gateway, which are beside the code.

mod bindings;
mod claims;
mod encrypted;
mod forms;
mod key_sets;
mod keys;
mod requests;
mod rsa;
mod shapes;

use serde_json::{Value, json};
use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{KEY_ID, TestIssuer};
use symbolon_e2e::programs::Gateway;

const ORDERS: &str = "https://orders.test";
const NOTES: &str = "https://notes.test";
const ISSUER: &str = "https://issuer.test/a";
const OTHER_ISSUER: &str = "https://issuer.test/b";

/// A gateway in front of two routes, and two issuers that it trusts.
struct Verifying {
    gateway: Gateway,
    api: Api,
    issuer: TestIssuer,
    other: TestIssuer,
}

impl Verifying {
    async fn start() -> Self {
        let (issuer, other) = (TestIssuer::new(ISSUER), TestIssuer::new(OTHER_ISSUER));
        let api = Api::start().await;
        let config = format!(
            "issuers:\n\
             \x20 - {{ name: a, issuer: \"{ISSUER}\", jwks_file: {{folder}}/a.json, audiences: [\"{ORDERS}\", \"{NOTES}\"], binding: when_bound }}\n\
             \x20 - {{ name: b, issuer: \"{OTHER_ISSUER}\", jwks_file: {{folder}}/b.json, audiences: [\"{NOTES}\"], binding: when_bound }}\n\
             routes:\n\
             \x20 - {{ name: orders, match: {{ path: /orders/** }}, resource: \"{ORDERS}\", upstream: {{ url: \"http://{api}\" }}, stages: [{{ verify: {{ issuers: [a], scopes: [\"orders:read\"] }} }}] }}\n\
             \x20 - {{ name: notes, match: {{ path: /notes/** }}, resource: \"{NOTES}\", upstream: {{ url: \"http://{api}\" }}, stages: [{{ verify: {{ issuers: [a, b] }} }}] }}\n\
             \x20 - {{ name: public, match: {{ path: /public/** }}, upstream: {{ url: \"http://{api}\" }}, public: true }}\n",
            api = api.address
        );
        // The set of `a` also holds a key of a type from the future (J31): it must not keep the good key from serving.
        let strange = json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "future", "pub": "AAAA"});
        let set = json!({"keys": [strange, issuer.jwk()]}).to_string();
        let files = [("a.json", set.as_str()), ("b.json", &other.jwks().to_string())];
        let gateway = Gateway::start(&config, &files).await;
        gateway.ready().await;
        Self { gateway, api, issuer, other }
    }

    async fn bearer(&self, token: &str) -> Answer {
        Call::get("/orders/1").bearer(token).send(self.gateway.address).await.unwrap()
    }

    /// Signs the honest claims after a change.
    fn changed(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.issuer.claims(ORDERS);
        change(&mut claims);
        self.issuer.sign(&self.issuer.header(), &claims)
    }

    /// Presents each token, and wants each refused without reaching the API; then an honest one still passes.
    async fn all_refused(&self, cases: Vec<(String, String)>, codes: &[&str]) {
        for (what, token) in cases {
            let answer = self.bearer(&token).await;
            assert_unauthorized(&what, &answer, codes);
        }
        assert_eq!(self.api.requests(), 0, "the API was reached");
        self.serves_the_honest().await;
    }

    /// After all that was refused, honest requests still pass, with a token and without.
    async fn serves_the_honest(&self) {
        assert_eq!(self.bearer(&self.issuer.token(ORDERS)).await.status, 200);
        let public = Call::get("/public/1").send(self.gateway.address).await.unwrap();
        assert_eq!(public.status, 200);
    }
}

fn assert_unauthorized(what: &str, answer: &Answer, codes: &[&str]) {
    let code = answer.text("code");
    assert_eq!(answer.status, 401, "{what}: {code}");
    assert!(codes.contains(&code.as_str()), "{what}: {code}");
    assert!(
        answer.header("www-authenticate").contains("Bearer"),
        "{what}: {}",
        answer.header("www-authenticate")
    );
    assert!(answer.text("decision_id").starts_with("g-"), "{what}");
}

/// Codes of a token that is no well-formed token of a kind that we accept.
const FORM: &[&str] = &["malformed", "alg_not_allowed", "wrong_type", "bad_signature", "unknown_kid"];

fn case(what: impl Into<String>, token: impl Into<String>) -> (String, String) {
    (what.into(), token.into())
}

#[tokio::test]
async fn an_honest_token_passes_and_the_api_sees_who_calls() {
    let verifying = Verifying::start().await;
    let answer = verifying.bearer(&verifying.issuer.token(ORDERS)).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let headers = &answer.json()["headers"];
    assert_eq!(headers["x-workload-id"], json!(["spiffe://test.example/caller"]));
    assert_eq!(headers["x-workload-issuer"], json!([ISSUER]));
    assert_eq!(headers["x-workload-audience"], json!([ORDERS]));
    assert!(headers.get("authorization").is_none());
    let missing = Call::get("/orders/1").send(verifying.gateway.address).await.unwrap();
    assert_unauthorized("no token", &missing, &["token_missing"]);
    assert!(!missing.header("www-authenticate").contains("error="));
}

#[tokio::test]
async fn a_scope_that_the_route_wants_is_not_optional() {
    let verifying = Verifying::start().await;
    for scope in [json!("orders:write"), json!(""), json!("orders:readx"), Value::Null] {
        let token = verifying.changed(|claims| {
            if scope.is_null() {
                claims.as_object_mut().unwrap().remove("scope");
            } else {
                claims["scope"] = scope.clone();
            }
        });
        let answer = verifying.bearer(&token).await;
        assert_eq!((answer.status, answer.text("code").as_str()), (403, "insufficient_scope"), "{scope}");
        assert!(answer.header("www-authenticate").contains("insufficient_scope"));
    }
    assert_eq!(verifying.api.requests(), 0);
}

#[tokio::test]
async fn a_key_of_one_issuer_never_proves_a_token_of_another() {
    let verifying = Verifying::start().await;
    let honest = verifying.other.token(NOTES);
    let notes = |token: &str| Call::get("/notes/1").bearer(token).send(verifying.gateway.address);
    assert_eq!(notes(&honest).await.unwrap().status, 200);
    // The key id is the same in both sets, so only ownership tells them apart.
    let crossed = verifying
        .other
        .sign(&json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID}), &verifying.issuer.claims(NOTES));
    assert_unauthorized("b signs for a", &notes(&crossed).await.unwrap(), &["bad_signature"]);
    let answer = verifying.bearer(&verifying.other.token(ORDERS)).await;
    assert_unauthorized("an issuer of another route", &answer, &["unknown_issuer", "wrong_audience"]);
}
