//! The issuer's keys are away: what was fetched goes on serving, and what never was is 503, not 401.
//! Not here: rotation.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Call, Connection, Place};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::jwks::JwksEndpoint;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Gateway;
use tokio::task::JoinSet;

const AUDIENCE: &str = "https://orders.test";
const REQUESTS: u64 = 20_000;
const CONNECTIONS: u64 = 16;
/// Every so many requests a token that the gateway has not seen, so that keys are needed and not only verdicts.
const FRESH: u64 = 8;

struct Outage {
    issuer: TestIssuer,
    endpoint: JwksEndpoint,
    gateway: Gateway,
    api: Api,
}

impl Outage {
    async fn start(up: bool) -> Self {
        let url = "http://127.0.0.1:1/issuer";
        let issuer = TestIssuer::new(url);
        let mut endpoint = JwksEndpoint::new(&issuer.jwks().to_string());
        if up {
            endpoint.up().await;
        }
        let api = Api::start().await;
        let config = format!(
            "issuers: [{{ name: test, issuer: \"{url}\", dev: true, jwks_uri: \"{jwks}\", audiences: [\"{AUDIENCE}\"], binding: when_bound }}]\n\
             routes: [{{ name: orders, match: {{ path: /orders/** }}, resource: \"{AUDIENCE}\", upstream: {{ url: \"http://{api}\" }}, stages: [{{ verify: {{ issuers: [test] }} }}] }}]\n",
            jwks = endpoint.url(),
            api = api.address
        );
        let gateway = Gateway::start(&config, &[]).await;
        Self { issuer, endpoint, gateway, api }
    }

    async fn call(&self) -> symbolon_e2e::http::Answer {
        Call::get("/orders/1").bearer(&self.issuer.token(AUDIENCE)).send(self.gateway.address).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_requests_pass_while_the_endpoint_is_down() {
    let mut outage = Outage::start(true).await;
    outage.gateway.ready().await;
    assert_eq!(outage.call().await.status, 200);
    outage.endpoint.down().await;
    let before = outage.api.requests();
    let place = Place::Tcp(outage.gateway.address);
    let mut workers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let place = place.clone();
        let share = REQUESTS / CONNECTIONS;
        let usual = outage.issuer.token(AUDIENCE);
        let fresh: Vec<String> = (0..=share / FRESH).map(|_| outage.issuer.token(AUDIENCE)).collect();
        workers.spawn(async move {
            let mut connection = Connection::open(&place).await.unwrap();
            let mut failures = Vec::new();
            for nth in 0..share {
                let token =
                    if nth % FRESH == 0 { &fresh[usize::try_from(nth / FRESH).unwrap()] } else { &usual };
                let answer = connection.send(Call::get("/orders/1").bearer(token)).await;
                if !answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                    failures.push(format!("{nth}: {answer:?}"));
                }
            }
            failures
        });
    }
    let unknown = outage
        .issuer
        .sign(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "new"}), &outage.issuer.claims(AUDIENCE));
    let unknown = Call::get("/orders/1").bearer(&unknown).send(place).await.unwrap();
    assert_eq!(unknown.status, 503, "whether this key exists cannot be known now: {}", unknown.text("code"));
    let failures: Vec<String> = workers.join_all().await.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{} failures, the first: {}", failures.len(), failures[0]);
    assert_eq!(outage.api.requests() - before, REQUESTS);
}

#[tokio::test]
async fn a_cold_start_without_keys_is_503_and_heals_by_itself() {
    let mut outage = Outage::start(false).await;
    for _ in 0..3 {
        let answer = outage.call().await;
        assert_eq!((answer.status, answer.text("code").as_str()), (503, "jwks_unavailable"));
        assert!(!answer.header("retry-after").is_empty());
    }
    let nobody = Call::get("/orders/1").send(outage.gateway.address).await.unwrap();
    assert_eq!((nobody.status, nobody.text("code").as_str()), (401, "token_missing"));
    assert_eq!(outage.api.requests(), 0);
    outage.endpoint.up().await;
    wait_for("the keys are fetched", Duration::from_secs(30), async || outage.call().await.status == 200)
        .await;
}

#[tokio::test]
async fn a_restart_without_the_endpoint_serves_with_the_last_good_keys_from_disk() {
    let mut outage = Outage::start(true).await;
    outage.gateway.ready().await;
    assert_eq!(outage.call().await.status, 200);
    outage.endpoint.down().await;
    outage.gateway.process.stop(Signal::TERM).await;
    outage.gateway.restart().await;
    assert_eq!(outage.call().await.status, 200);
}
