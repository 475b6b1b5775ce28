//! An API server that answers, and wrongly: an outage with a reason, within seconds and a bounded memory, never a yes and never a 401.
//! Not here: one that hangs or is down as a whole (`outages`).

use std::time::Duration;

use serde_json::json;
use symbolon_e2e::kubernetes::Cluster;
use symbolon_e2e::kubernetes::fault::{Fault, Faulty};
use symbolon_e2e::kubernetes::objects::unique;
use symbolon_e2e::machine::resident_bytes;
use symbolon_e2e::process::wait_for;
use tokio::time::Instant;

use super::attesting::{Attesting, Pod, assert_refused, key, rules};

/// A broker that reaches the shared cluster through a proxy, and by nothing else.
async fn behind(proxy: &Faulty, cluster: &Cluster) -> Attesting {
    let namespace = cluster.namespace("symbolon", &json!({})).await;
    let token = cluster.caller(&namespace, "broker", &rules()).await;
    let file = cluster.write(&unique("broker-token"), &token);
    let provider = format!(
        "\x20 - {{ name: prod, kubernetes: {{ issuer: \"{issuer}\", api: {{ server: \"{server}\", ca_file: \"{ca}\", token_file: \"{token}\" }} }},\n\
         \x20     workload: '\"prod/ns/\" + attested.namespace + \"/sa/\" + attested.service_account' }}\n",
        issuer = cluster.issuer(),
        server = proxy.server(),
        ca = proxy.ca_file().display(),
        token = file.display(),
    );
    Attesting::start(&[provider]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn wrong_answers_about_a_token_are_an_outage_and_no_verdict() {
    let cluster = Cluster::shared().await;
    let proxy = Faulty::before(cluster.admin()).await;
    let attesting = behind(&proxy, cluster).await;
    let pod = Pod::start(cluster, "cart-1").await;
    let key = key();
    let known = pod.token(&attesting.broker.url).await;
    let answer = attesting.ask_until_heard(&known, &key).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    for fault in [
        Fault::Silence,
        Fault::Garbage,
        Fault::Stranger,
        Fault::Huge,
        Fault::Endless,
        Fault::Broken,
        Fault::CutOff,
    ] {
        proxy.fail("tokenreviews", fault);
        let fresh = pod.token(&attesting.broker.url).await;
        let asked = Instant::now();
        let answer = attesting.ask(&fresh, &key).await;
        assert!(asked.elapsed() < Duration::from_secs(8), "{fault:?}: {:?}", asked.elapsed());
        assert_refused(&format!("{fault:?}"), &answer, 503, "platform_unavailable");
        assert!(!answer.header("retry-after").is_empty(), "{fault:?}");
        assert_eq!(attesting.ask(&known, &key).await.status, 200, "{fault:?}: what was confirmed goes on");
        proxy.heal();
        assert_eq!(attesting.ask(&fresh, &key).await.status, 200, "{fault:?}: it is over");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_watch_that_goes_wrong_is_an_outage_of_bounded_memory_and_heals() {
    let cluster = Cluster::shared().await;
    let proxy = Faulty::before(cluster.admin()).await;
    let mut attesting = behind(&proxy, cluster).await;
    let pod = Pod::start(cluster, "cart-1").await;
    let (token, key) = (pod.token(&attesting.broker.url).await, key());
    assert_eq!(attesting.ask_until_heard(&token, &key).await.status, 200);
    let before = resident_bytes(attesting.broker.process.pid());
    for fault in [Fault::Endless, Fault::Garbage, Fault::CutOff, Fault::Broken] {
        proxy.fail("/api/v1/pods", fault);
        wait_for("what was heard is too old", Duration::from_secs(40), async || {
            attesting.ask(&token, &key).await.status == 503
        })
        .await;
        assert_refused(
            &format!("{fault:?}"),
            &attesting.ask(&token, &key).await,
            503,
            "platform_unavailable",
        );
        let grown = resident_bytes(attesting.broker.process.pid()).saturating_sub(before);
        assert!(grown < 96 << 20, "{fault:?}: {grown} bytes");
        proxy.heal();
        wait_for("it is over", Duration::from_secs(20), async || {
            attesting.ask(&token, &key).await.status == 200
        })
        .await;
    }
    assert!(attesting.broker.process.is_running());
}
