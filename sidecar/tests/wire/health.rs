//! Start-up gates and metrics.
//! Not here: the health routes themselves, which all programs share.

use crate::broker::{AWAY, GRANT, Mood};
use crate::rig::{Plan, Rig, eventually};

#[tokio::test]
async fn a_denial_does_not_keep_a_pod_from_starting() {
    let rig = Rig::start(&Plan { broker: Mood::Deny, ..Plan::default() });
    rig.health_becomes("/startupz", 200).await;
    rig.health_becomes("/readyz", 200).await;
}

#[tokio::test]
async fn an_outage_keeps_a_pod_from_starting_only_for_the_start_timeout() {
    let rig = Rig::start(&Plan { broker: AWAY, rest: "start_timeout: 1s", ..Plan::default() });
    let answer = rig.health("/startupz?verbose").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("waiting for upstream orders"), "{}", answer.text());
    rig.health_becomes("/startupz", 200).await;
}

#[tokio::test]
async fn a_required_upstream_waits_for_its_credential() {
    let plan = Plan {
        broker: Mood::Deny,
        upstream: "    required: true",
        rest: "start_timeout: 10ms",
        ..Plan::default()
    };
    let rig = Rig::start(&plan);
    eventually(async || rig.call("/").send().await.status == 403).await;
    assert_eq!(rig.health("/startupz").await.status, 503);
    assert_eq!(rig.health("/livez").await.status, 200);
    rig.broker.set(GRANT);
    eventually(async || rig.call("/").send().await.status == 200).await;
    rig.health_becomes("/startupz", 200).await;
}

#[tokio::test]
async fn metrics_tell_the_outage_budget_and_what_became_of_requests() {
    let rig = Rig::start(&Plan::default());
    assert_eq!(rig.call("/").send().await.status, 200);
    let text = rig.health("/metrics").await.text().to_owned();
    let budget =
        text.lines().find(|line| line.starts_with("symbolon_sidecar_outage_budget_seconds{")).unwrap();
    let seconds: u64 = budget.rsplit_once(' ').unwrap().1.parse().unwrap();
    assert!((290..=300).contains(&seconds), "{budget}");
    assert!(budget.contains("upstream=\"orders\""), "{budget}");
    for line in [
        "symbolon_sidecar_requests_total{upstream=\"orders\",outcome=\"forwarded\"} 1",
        "symbolon_sidecar_token_requests_total{outcome=\"granted\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("opaque"), "{text}");
}
