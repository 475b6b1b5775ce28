//! A sidecar that is killed in its pod goes on with its key; one that lost the key is given another; a copied token is worth nothing.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use symbolon_e2e::http::{Answer, Call, Connection, Place};
use symbolon_e2e::kubernetes::kubelet::Pod;
use symbolon_e2e::machine::now;
use symbolon_e2e::process::wait_for;
use symbolon_identity::Timestamp;
use symbolon_proof::{ProofKey, ProofRequest};

use super::{Installed, LONG, ORDERS, SOON, create};
use crate::kubernetes::attesting::{assert_refused, key};
use crate::kubernetes::pins::revoked_at;

const KEY: &str = "symbolon-key";

/// A pod whose app calls the API again and again, and counts the answers.
async fn calling(installed: &Installed) -> Pod {
    let script =
        format!("while :; do {} >/dev/null && echo . >>/work/out; sleep 0.05; done", installed.call());
    let pod = Installed::pod("cart-1", &script);
    create(&installed.cluster, &installed.namespace, &pod).await.unwrap();
    installed.cluster.schedule(&installed.namespace, "cart-1", &installed.node).await;
    let mut running = installed.kubelet().take(&installed.namespace, "cart-1").await;
    running.start().await;
    running
}

fn answers(work: &Path) -> usize {
    fs::read_to_string(work.join("out")).unwrap_or_default().lines().count()
}

/// Tends the pod until its app got three more answers.
async fn goes_on(pod: &mut Pod) {
    let before = answers(&pod.volume("work"));
    pod.until("the app's calls are answered", SOON, async |pod| answers(&pod.volume("work")) >= before + 3)
        .await;
}

fn stored_key(pod: &Pod) -> Vec<u8> {
    fs::read(pod.volume(KEY).join("key.json")).unwrap()
}

/// The keys of pods that got tokens, oldest first.
async fn keys(installed: &Installed) -> Vec<String> {
    let issued = audited(installed, "token.issued").await;
    let of_pods = issued.iter().filter(|line| line["actor"]["provider"] == "cluster");
    of_pods.map(|line| line["actor"]["key"].as_str().unwrap().to_owned()).collect()
}

async fn audited(installed: &Installed, event: &str) -> Vec<Value> {
    let path = installed.broker.folder.path().join("broker.db");
    let mut store = SqliteConnectOptions::new().filename(path).read_only(true).connect().await.unwrap();
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT line FROM audit ORDER BY seq").fetch_all(&mut store).await.unwrap();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event.name"] == event).collect()
}

/// Kills the sidecar of a pod, once the second in which its key was seen last is over: restarts are told by whole seconds.
async fn kill_sidecar(pod: &mut Pod) {
    let seen = now();
    wait_for("the second is over", SOON, async || now() > seen + 1).await;
    pod.process("symbolon-sidecar").kill();
}

/// Asks for a token with somebody's evidence and a key of one's own.
async fn ask(installed: &Installed, evidence: &str, key: &ProofKey) -> Answer {
    let target = format!("{}/oauth2/token", installed.broker.url);
    let request = ProofRequest { method: "POST", target_uri: &target, access_token: None, nonce: None };
    let proof = key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", ORDERS),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", evidence),
    ];
    let call = Call::form("/oauth2/token", &form).header("dpop", &proof);
    let address = installed.broker.address;
    let stream = installed.authority.client(&["http/1.1"]).connect(address).await.unwrap();
    let mut connection = Connection::over(stream, &Place::Tcp(address), address.to_string()).await.unwrap();
    connection.send(call).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_killed_sidecar_goes_on_with_its_key_and_with_a_new_one_where_that_is_lost() {
    let installed = Installed::start(LONG).await;
    let mut pod = calling(&installed).await;
    goes_on(&mut pod).await;
    let first = stored_key(&pod);

    kill_sidecar(&mut pod).await;
    goes_on(&mut pod).await;
    assert_eq!(stored_key(&pod), first, "the same key");
    let used = keys(&installed).await;
    assert!(used.len() >= 2 && used.iter().all(|key| *key == used[0]), "{used:?}");
    assert_eq!(audited(&installed, "key.repinned").await, Vec::<Value>::new());

    kill_sidecar(&mut pod).await;
    fs::remove_file(pod.volume(KEY).join("key.json")).unwrap();
    goes_on(&mut pod).await;
    assert_ne!(stored_key(&pod), first, "another key");
    let repinned = audited(&installed, "key.repinned").await;
    assert_eq!(repinned.len(), 1, "{repinned:#?}");
    assert_eq!(repinned[0]["details"]["because"], json!("container_restarted"), "{repinned:#?}");
    assert_eq!(repinned[0]["details"]["key_before"], json!(used[0]));
    assert_eq!(revoked_at(&installed.broker).await, [used[0].clone()], "what the lost key had is taken back");
    assert_eq!(keys(&installed).await.last().unwrap(), repinned[0]["details"]["key"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_copy_of_a_running_pods_token_gets_nothing_elsewhere() {
    let installed = Installed::start(LONG).await;
    let mut pod = calling(&installed).await;
    goes_on(&mut pod).await;
    let evidence = fs::read_to_string(pod.volume("symbolon-identity").join("token")).unwrap();
    let answer = ask(&installed, &evidence, &key()).await;
    assert_refused("a copy with another key", &answer, 401, "evidence_key_mismatch");
    goes_on(&mut pod).await;
    assert_eq!(revoked_at(&installed.broker).await, Vec::<String>::new(), "its owner loses nothing");
}
