//! A cluster that hangs, is down, or talks nonsense: an outage is 503, soon, and never an open door.
//! Not here: a cluster that is well (`attesting`).

use std::time::Duration;

use symbolon_e2e::kubernetes::{Cluster, Plan};
use symbolon_e2e::process::wait_for;
use tokio::time::Instant;

use super::attesting::{Attesting, Pod, assert_refused, key, provider};

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_cluster_that_hangs_or_is_down_is_an_outage_and_comes_back() {
    let mut cluster = Cluster::start("outage").await;
    let attesting = Attesting::start(&[provider("prod", &cluster, "").await]).await;
    let ours = attesting.broker.url.clone();
    let (token, fresh, key, other) = {
        let pod = Pod::start(&cluster, "cart-1").await;
        let (token, fresh) = (pod.token(&ours).await, pod.token(&ours).await);
        (token, fresh, key(), key())
    };
    assert_eq!(attesting.ask_until_heard(&token, &key).await.status, 200);
    cluster.pause();
    // What was confirmed within the last minute, of a pod that was heard of within ten seconds, goes on.
    assert_eq!(attesting.ask(&token, &key).await.status, 200);
    let asked = Instant::now();
    let answer = attesting.ask(&fresh, &key).await;
    assert!(asked.elapsed() < Duration::from_secs(8), "an answer within seconds: {:?}", asked.elapsed());
    assert_refused("hanging", &answer, 503, "platform_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    wait_for("what was heard is too old", Duration::from_secs(20), async || {
        attesting.ask(&token, &key).await.status == 503
    })
    .await;
    let began = Instant::now();
    assert_refused("stale", &attesting.ask(&token, &key).await, 503, "platform_unavailable");
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for a cluster that is not there");
    assert_refused(
        "a thief in the outage",
        &attesting.ask(&fresh, &other).await,
        503,
        "platform_unavailable",
    );
    cluster.resume();
    let answer = attesting.ask_until_heard(&token, &key).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    cluster.kill();
    wait_for("the outage is noticed", Duration::from_secs(20), async || {
        attesting.ask(&token, &key).await.status == 503
    })
    .await;
    cluster.restart().await;
    wait_for("it comes back", Duration::from_secs(20), async || {
        attesting.ask(&token, &key).await.status == 200
    })
    .await;
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn where_live_is_only_preferred_an_outage_lowers_the_assurance_for_policies_to_see() {
    let cluster = Plan::new("preferred").start().await;
    let attesting = Attesting::start(&[provider("prod", &cluster, ", live: preferred").await]).await;
    let pod = Pod::start(&cluster, "cart-1").await;
    let (token, key) = (pod.token(&attesting.broker.url).await, key());
    wait_for("the cluster is heard of", Duration::from_secs(10), async || {
        attesting.ask(&token, &key).await.status == 200
    })
    .await;
    cluster.pause();
    wait_for("the cluster is no longer heard of", Duration::from_secs(30), async || {
        attesting.ask(&token, &key).await.status == 400
    })
    .await;
    let denied = attesting.ask(&token, &key).await;
    assert_refused("policy asks for live", &denied, 400, "denied");
    let document = attesting.explain(&denied).await;
    assert_eq!(document["near_misses"][0]["failed"][0]["actual"], "\"signed\"", "{document:#}");
    cluster.resume();
}
