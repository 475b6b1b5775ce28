//! requests-oauthlib buys a token, calls with it, and reads the bodies of refusals as OAuth errors.
//! Not here: its signing; the library takes an assertion as it is, so the test signs.

use serde_json::{Value, json};
use symbolon_e2e::api::Api;
use symbolon_e2e::issuer::{KEY_ID, TestIssuer, encode, random};
use symbolon_e2e::machine::now;
use symbolon_e2e::programs::{Broker, Gateway};

const CLIENT: &str = "batch";
const NOTES: &str = "https://notes.test";

fn assertion(signer: &TestIssuer, audience: &str) -> String {
    let claims = json!({
        "iss": CLIENT, "sub": CLIENT, "aud": audience, "jti": encode(&random()), "iat": now(), "exp": now() + 60
    });
    signer.sign(&json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}), &claims)
}

async fn gateway(broker: &Broker, api: &Api) -> Gateway {
    let config = format!(
        "issuers: [{{ name: broker, issuer: \"{}\", dev: true, audiences: [\"{NOTES}\"], binding: when_bound }}]\n\
         routes: [{{ name: notes, match: {{ path: \"/notes/**\" }}, resource: \"{NOTES}\", upstream: {{ url: \"http://{}\" }}, stages: [{{ verify: {{ issuers: [broker], scopes: [\"notes:read\"] }} }}] }}]\n",
        broker.url, api.address
    );
    let gateway = Gateway::start(&config, &[]).await;
    gateway.ready().await;
    gateway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_oauthlib_buys_a_token_and_reads_our_errors() {
    let client = TestIssuer::new(CLIENT);
    let broker = Broker::start(CLIENT, &client.jwks().to_string(), "").await;
    let api = Api::start().await;
    let gateway = gateway(&broker, &api).await;
    let signed = [&client, &TestIssuer::new(CLIENT), &client].map(|signer| assertion(signer, &broker.url));
    let what = json!({
        "issuer": broker.url, "client_id": CLIENT, "resource": NOTES, "scope": "notes:read", "assertions": signed,
        "api": format!("http://{}/notes/1", gateway.address),
    });
    let run = move || super::run(super::python("requests_oauthlib_client.py"), &what.to_string());
    let seen: Value = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!((&seen["type"], &seen["scope"]), (&json!("Bearer"), &json!(["notes:read"])), "{seen}");
    let workload = json!(["spiffe://test.example/client/batch"]);
    assert_eq!((&seen["status"], &seen["echoed"]["headers"]["x-workload-id"]), (&json!(200), &workload));
    let refused = json!({
        "another_key": ["InvalidClientError", "invalid_client", "bad_signature"],
        "an_assertion_again": ["InvalidClientError", "invalid_client", "evidence_replayed"],
        "another_target": ["CustomOAuth2Error", "invalid_target", "invalid_target"],
        "altered_at_the_api": 401,
    });
    assert_eq!(seen["refused"], refused);
    assert_eq!(api.requests(), 1, "what was altered reached the API");
}
