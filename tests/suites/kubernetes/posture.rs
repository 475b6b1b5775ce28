//! A pod that becomes what policies would not have given its tokens to loses them, at the gateway too.
//! Not here: pods that end (`pins`), and what a pod is asked at its next request (`attesting`).

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::kubernetes::Cluster;
use symbolon_e2e::machine::now;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Gateway;
use symbolon_identity::Timestamp;
use symbolon_proof::{ProofKey, ProofRequest};
use tokio::time::Instant;

use super::attesting::{Attesting, ORDERS, Pod, assert_refused, key, provider};
use super::pins::revoked;

/// A gateway before an API that follows the broker's revocations.
async fn gateway(attesting: &Attesting, api: &Api) -> Gateway {
    let (url, socket) = (&attesting.broker.url, attesting.broker.socket());
    let config = format!(
        "issuers: [{{ name: broker, issuer: \"{url}\", dev: true, audiences: [\"{ORDERS}\"], binding: when_bound, revocations: {{ evidence: {{ unix: {{}} }}, socket: {} }} }}]\n\
         routes:\n\x20 - {{ name: orders, match: {{ path: /orders/** }}, resource: \"{ORDERS}\", upstream: {{ url: \"http://{}\" }}, stages: [{{ verify: {{ issuers: [broker] }} }}] }}\n",
        socket.display(),
        api.address,
    );
    let gateway = Gateway::start(&config, &[]).await;
    gateway.ready().await;
    gateway
}

/// A call of the API with a bound token.
async fn call(gateway: &Gateway, token: &str, key: &ProofKey) -> Answer {
    let target = format!("http://{}/orders/1", gateway.address);
    let request = ProofRequest { method: "GET", target_uri: &target, access_token: Some(token), nonce: None };
    let proof = key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap();
    let call = Call::get("/orders/1").header("authorization", &format!("DPoP {token}"));
    call.header("dpop", &proof).send(gateway.address).await.unwrap()
}

/// Attaches a debug container, as `kubectl debug` does.
async fn debug(cluster: &Cluster, pod: &Pod<'_>) {
    let debugger = json!({"spec": {"ephemeralContainers": [{"name": "debugger", "image": "app.test/sh:1"}]}});
    cluster.admin().patch(&format!("{}/ephemeralcontainers", pod.path()), &debugger).await;
}

/// What the audit chain says of what was taken back.
async fn taken_back(attesting: &Attesting) -> Vec<Value> {
    let path = attesting.broker.folder.path().join("broker.db");
    let mut store = SqliteConnectOptions::new().filename(path).read_only(true).connect().await.unwrap();
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT line FROM audit ORDER BY seq").fetch_all(&mut store).await.unwrap();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.to_string().contains("revocation.changed")).collect()
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_pod_that_gets_worse_loses_its_tokens_and_one_that_only_changes_does_not() {
    let cluster = Cluster::shared().await;
    let local = "\x20 - { name: local, unix: {}, workload: '\"local/uid/\" + string(attested.uid)' }\n";
    let attesting = Attesting::start(&[provider("prod", cluster, "").await, local.to_owned()]).await;
    let api = Api::start().await;
    let gateway = gateway(&attesting, &api).await;
    let pod = Pod::start(cluster, "cart-1").await;
    let node = cluster.admin().get(&pod.path()).await["spec"]["nodeName"].as_str().unwrap().to_owned();
    let sibling = Pod::start_in(cluster, &pod.namespace, "cart-2", &node).await;
    let ours = attesting.broker.url.as_str();
    let mut held = Vec::new();
    for pod in [&pod, &sibling] {
        let (evidence, key) = (pod.token(ours).await, key());
        let answer = attesting.ask_until_heard(&evidence, &key).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let token = answer.text("access_token");
        wait_for("the gateway takes its token", Duration::from_secs(10), async || {
            call(&gateway, &token, &key).await.status == 200
        })
        .await;
        held.push((evidence, key, token));
    }
    // A label that no policy asks for takes nothing away.
    cluster.admin().patch(&sibling.path(), &json!({"metadata": {"labels": {"mood": "good"}}})).await;
    debug(cluster, &pod).await;
    let changed = Instant::now();
    let (evidence, key, token) = &held[0];
    wait_for("the gateway refuses its token", Duration::from_secs(5), async || {
        let answer = call(&gateway, token, key).await;
        (answer.status, answer.text("code").as_str()) == (401, "revoked")
    })
    .await;
    eprintln!("refused at the gateway {:?} after a debugger was attached", changed.elapsed());
    assert_refused("its next request", &attesting.ask(evidence, key).await, 400, "denied");
    let (evidence, key, token) = &held[1];
    assert_eq!(call(&gateway, token, key).await.status, 200, "its sibling goes on");
    assert_eq!(attesting.ask(evidence, key).await.status, 200);
    assert_eq!(revoked(&attesting).await, [held[0].1.thumbprint().to_string()], "only its own key");
    let said = taken_back(&attesting).await;
    assert_eq!((said.len(), &said[0]["details"]["because"]), (1, &json!("pod_changed")), "{said:?}");
    assert!(said[0]["details"]["decision"].as_str().unwrap().starts_with("b-"), "{said:?}");
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_broker_that_was_away_finds_the_pods_that_got_worse_meanwhile() {
    let (mut attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, "cart-1").await;
    let (evidence, key) = (pod.token(&attesting.broker.url).await, key());
    assert_eq!(attesting.ask_until_heard(&evidence, &key).await.status, 200);
    attesting.broker.process.kill();
    debug(cluster, &pod).await;
    attesting.broker.restart().await;
    let own = key.thumbprint().to_string();
    wait_for("its tokens are revoked", Duration::from_secs(30), async || {
        revoked(&attesting).await.contains(&own)
    })
    .await;
}
