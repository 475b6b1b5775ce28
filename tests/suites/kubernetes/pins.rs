//! Keys of pods: kept over restarts, replaced when they are lost, and ended with their pod.
//! Not here: what a pod's token buys (`attesting`).

use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::http::Call;
use symbolon_e2e::kubernetes::objects::unique;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Broker;
use tokio::time::Instant;

use super::attesting::{Attesting, Pod, assert_refused, key};

/// What is taken back, by the admin socket.
pub(super) async fn revoked(attesting: &Attesting) -> Vec<String> {
    revoked_at(&attesting.broker).await
}

/// The same of any broker.
pub(super) async fn revoked_at(broker: &Broker) -> Vec<String> {
    let list = Call::get("/v1/revocations").send(broker.admin_socket().as_path()).await.unwrap().json();
    let all = list["revocations"].as_array().cloned().unwrap_or_default();
    all.iter()
        .filter(|one| one["kind"] == "jkt")
        .map(|one| one["value"].as_str().unwrap().to_owned())
        .collect()
}

/// The kubelet's word about the sidecar of a pod: it runs since then.
async fn sidecar_started(pod: &Pod<'_>, at: &str) {
    let running = json!({
        "name": "symbolon-sidecar", "image": "s", "imageID": "", "ready": true, "restartCount": 1,
        "state": {"running": {"startedAt": at}},
    });
    let status = json!({"status": {"initContainerStatuses": [running]}});
    pod.cluster.admin().patch(&format!("{}/status", pod.path()), &status).await;
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_deleted_pod_is_refused_at_once_and_its_tokens_end_and_no_other_pods() {
    let (attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, "cart-1").await;
    let node = cluster.admin().get(&pod.path()).await["spec"]["nodeName"].as_str().unwrap().to_owned();
    let sibling = Pod::start_in(cluster, &pod.namespace, "cart-2", &node).await;
    let ours = attesting.broker.url.as_str();
    let (token, key, other_token, other_key) =
        (pod.token(ours).await, key(), sibling.token(ours).await, key());
    assert_eq!(attesting.ask_until_heard(&token, &key).await.status, 200);
    assert_eq!(attesting.ask(&other_token, &other_key).await.status, 200);
    let deleted = Instant::now();
    cluster.delete_pod(&pod.namespace, &pod.name).await;
    wait_for("the pod's token is refused", Duration::from_secs(2), async || {
        attesting.ask(&token, &key).await.status == 401
    })
    .await;
    assert_refused("deleted", &attesting.ask(&token, &key).await, 401, "pod_gone");
    let own = key.thumbprint().to_string();
    wait_for("its tokens are revoked", Duration::from_secs(5), async || {
        revoked(&attesting).await.contains(&own)
    })
    .await;
    eprintln!("refused and revoked {:?} after it was deleted", deleted.elapsed());
    assert_eq!(revoked(&attesting).await, [own], "only its own key");
    assert_eq!(attesting.ask(&other_token, &other_key).await.status, 200, "its sibling goes on");
    // Another pod of the same name is another pod: the old token does not come back to life with it.
    let again = Pod::start_in(cluster, &pod.namespace, "cart-1", &node).await;
    assert_ne!(again.uid, pod.uid);
    assert_refused("the name lives on", &attesting.ask(&token, &key).await, 401, "pod_gone");
    let fresh = again.token(ours).await;
    assert_eq!(attesting.ask(&fresh, &self::key()).await.status, 200);
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_lost_key_is_replaced_when_the_sidecar_was_restarted_and_not_before() {
    let (attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, "cart-1").await;
    sidecar_started(&pod, "2020-01-01T00:00:00Z").await;
    let (token, key, next) = (pod.token(&attesting.broker.url).await, key(), key());
    assert_eq!(attesting.ask_until_heard(&token, &key).await.status, 200);
    assert_refused("not restarted", &attesting.ask(&token, &next).await, 401, "evidence_key_mismatch");
    // Restarted with the key that it had: nothing changes.
    assert_eq!(attesting.ask(&token, &key).await.status, 200);
    let later = symbolon_identity::Timestamp::from_secs(symbolon_e2e::machine::now() + 2).unwrap();
    sidecar_started(&pod, &later.to_string()).await;
    wait_for("the restart is seen", Duration::from_secs(3), async || {
        attesting.ask(&token, &next).await.status == 200
    })
    .await;
    assert_refused("the old key", &attesting.ask(&token, &key).await, 401, "evidence_key_mismatch");
    assert_eq!(revoked(&attesting).await, [key.thumbprint().to_string()]);
    let recent =
        Call::get("/v1/decisions?limit=20").send(attesting.broker.admin_socket().as_path()).await.unwrap();
    let changed = |decision: &Value| decision["questions"][0]["context"]["key_changed"] == true;
    assert!(recent.json().as_array().unwrap().iter().any(changed), "policies see that the key changed");
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_broker_that_was_away_ends_the_pods_that_ended_meanwhile() {
    let (mut attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, &unique("cart")).await;
    let (token, key) = (pod.token(&attesting.broker.url).await, key());
    assert_eq!(attesting.ask_until_heard(&token, &key).await.status, 200);
    attesting.broker.process.kill();
    cluster.delete_pod(&pod.namespace, &pod.name).await;
    attesting.broker.restart().await;
    let own = key.thumbprint().to_string();
    wait_for("its tokens are revoked", Duration::from_secs(30), async || {
        revoked(&attesting).await.contains(&own)
    })
    .await;
    assert_refused("deleted", &attesting.ask_until_heard(&token, &key).await, 401, "pod_gone");
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_deleted_pod_whose_node_is_silent_loses_its_tokens_when_its_grace_is_over() {
    let (attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, &unique("cart")).await;
    let (token, key) = (pod.token(&attesting.broker.url).await, key());
    assert_eq!(attesting.ask_until_heard(&token, &key).await.status, 200);
    // Nobody runs behind its node, so that its object stays.
    let delete = Call::get(&format!("{}?gracePeriodSeconds=2", pod.path())).method(http::Method::DELETE);
    assert_eq!(cluster.admin().call(delete).await.unwrap().status, 200);
    let own = key.thumbprint().to_string();
    wait_for("its tokens are revoked", Duration::from_secs(7), async || {
        revoked(&attesting).await.contains(&own)
    })
    .await;
    let object = cluster.admin().get(&pod.path()).await;
    assert_eq!(
        (&object["metadata"]["uid"], &object["status"]["phase"]),
        (&json!(pod.uid), &json!("Running"))
    );
    assert_refused("in the end", &attesting.ask(&token, &key).await, 401, "pod_gone");
}
