//! Key sets that no careful issuer publishes, from a real endpoint: J30 and J31.
//! Not here: the endpoint being away (`jwks_outage`).

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{TestIssuer, encode};
use symbolon_e2e::jwks::JwksEndpoint;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Gateway;

use super::ORDERS;

/// A gateway that trusts one issuer for each of the sets, in their order.
struct Publishing {
    gateway: Gateway,
    issuers: Vec<TestIssuer>,
    _api: Api,
    _endpoints: Vec<JwksEndpoint>,
}

impl Publishing {
    /// Each set is made by its function of the issuer's own good key.
    async fn start(sets: &[&dyn Fn(&TestIssuer) -> Value]) -> Self {
        let api = Api::start().await;
        let (mut issuers, mut endpoints, mut config) = (Vec::new(), Vec::new(), "issuers:\n".to_owned());
        for (index, set) in sets.iter().enumerate() {
            let issuer = TestIssuer::new(&format!("http://127.0.0.1:1/{index}"));
            let mut endpoint = JwksEndpoint::new(&set(&issuer).to_string());
            endpoint.up().await;
            writeln!(
                config,
                "  - {{ name: i{index}, issuer: \"{}\", dev: true, jwks_uri: \"{}\", audiences: [\"{ORDERS}\"], binding: when_bound }}",
                issuer.url,
                endpoint.url()
            )
            .unwrap();
            issuers.push(issuer);
            endpoints.push(endpoint);
        }
        let names: Vec<String> = (0..sets.len()).map(|index| format!("i{index}")).collect();
        writeln!(
            config,
            "routes: [{{ name: orders, match: {{ path: /orders/** }}, resource: \"{ORDERS}\", upstream: {{ url: \"http://{}\" }}, stages: [{{ verify: {{ issuers: [{}] }} }}] }}]",
            api.address,
            names.join(", ")
        )
        .unwrap();
        let gateway = Gateway::start(&config, &[]).await;
        gateway.ready().await;
        Self { gateway, issuers, _api: api, _endpoints: endpoints }
    }

    async fn call(&self, index: usize) -> Answer {
        let token = self.issuers[index].token(ORDERS);
        Call::get("/orders/1").bearer(&token).send(self.gateway.address).await.unwrap()
    }
}

/// A set of a strange key and the good one.
fn beside(issuer: &TestIssuer, strange: &Value) -> Value {
    json!({"keys": [strange, issuer.jwk()]})
}

fn rsa(bits: usize, exponent: &[u8]) -> Value {
    let mut modulus = vec![0xFF; bits / 8];
    modulus[1] = 0x01;
    json!({"kty": "RSA", "alg": "RS256", "kid": "rsa", "n": encode(&modulus), "e": encode(exponent)})
}

#[tokio::test]
async fn a_strange_key_does_not_take_the_good_one_down() {
    let good = TestIssuer::new("http://127.0.0.1:1/good").jwk();
    let altered = |member: &str, value: Value| {
        let mut key = good.clone();
        key["kid"] = json!("strange");
        key[member] = value;
        key
    };
    let strange = [
        ("a type from the future", json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "f", "pub": "AAAA"})),
        ("RSA of 1024 bits", rsa(1024, &[1, 0, 1])),
        ("an exponent of one", rsa(2048, &[1])),
        ("an even exponent", rsa(2048, &[2])),
        ("for encryption", altered("use", json!("enc"))),
        ("an algorithm that does not fit", altered("alg", json!("ES384"))),
        ("a symmetric algorithm", altered("alg", json!("HS256"))),
        ("a point beside the curve", altered("y", json!(encode(&[7; 32])))),
        ("an unknown curve", altered("crv", json!("secp256k1"))),
        ("no type", json!({"kid": "none"})),
    ];
    let set = |(_, key): &(&str, Value)| {
        let key = key.clone();
        move |issuer: &TestIssuer| beside(issuer, &key)
    };
    let sets: Vec<_> = strange.iter().map(set).collect();
    let publishing = Publishing::start(
        &sets.iter().map(|set| -> &dyn Fn(&TestIssuer) -> Value { set }).collect::<Vec<_>>(),
    )
    .await;
    for (index, (what, _)) in strange.iter().enumerate() {
        let answer = publishing.call(index).await;
        assert_eq!(answer.status, 200, "J30 {what}: {}", answer.text("code"));
    }
}

#[tokio::test]
async fn a_dangerous_set_is_refused_as_a_whole_and_somebody_is_told() {
    let private = |issuer: &TestIssuer| {
        let mut leaked = TestIssuer::new("x").jwk();
        leaked["kid"] = json!("leaked");
        leaked["d"] = json!(encode(&[7; 32]));
        beside(issuer, &leaked)
    };
    let symmetric = |issuer: &TestIssuer| beside(issuer, &json!({"kty": "oct", "kid": "s", "k": "AAAA"}));
    let twice = |issuer: &TestIssuer| beside(issuer, &TestIssuer::new("x").jwk());
    let good = TestIssuer::jwks;
    let publishing = Publishing::start(&[&private, &symmetric, &twice, &good]).await;
    for (index, what) in ["a private member", "a shared secret", "two keys of one id"].iter().enumerate() {
        let answer = publishing.call(index).await;
        let code = answer.text("code");
        assert_eq!((answer.status, code.as_str()), (503, "jwks_unavailable"), "J30 {what}");
    }
    assert_eq!(publishing.call(3).await.status, 200, "the other issuers go on");
    wait_for("the operator is told", Duration::from_secs(15), async || {
        let metrics = Call::get("/metrics").send(publishing.gateway.admin).await.unwrap();
        let log = publishing.gateway.process.log();
        String::from_utf8_lossy(&metrics.body).contains("symbolon_gateway_issuers_without_keys 3\n")
            && log.contains("issuer.leaked_key")
            && log.contains("have the id")
    })
    .await;
}
