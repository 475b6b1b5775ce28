//! Streams that are renewed where a balancer stands before several gateways.
//! Not here: real gateways; the workspace's own suites have them.

use symbolon_wire::paths::STREAM_RENEWAL;

use crate::broker::Mood;
use crate::rig::{Plan, Rig, eventually};

#[tokio::test]
async fn a_renewal_that_met_the_wrong_gateway_is_tried_again_on_another_connection() {
    let broker = Mood::Grant { life: 4, token_type: "DPoP" };
    let rig = Rig::start(&Plan { broker, ..Plan::default() });
    let events = rig.call("/events").begin().await;
    assert!(!events.headers().contains_key("symbolon-stream"));
    // It leaves a connection that is kept for the next request.
    assert_eq!(rig.call("/").send().await.status, 200);
    let seen = || -> Vec<_> {
        let seen = rig.api.seen().into_iter();
        seen.filter(|seen| seen.head.uri.path() == STREAM_RENEWAL).collect()
    };
    eventually(async || seen().len() == 2).await;
    let [first, second] = &seen()[..] else { panic!("{:?}", seen()) };
    assert_eq!(first.field("symbolon-stream"), second.field("symbolon-stream"));
    assert_ne!(first.field("dpop"), second.field("dpop"));
    assert_ne!(first.connection(), second.connection());
    for outcome in ["unknown", "renewed"] {
        let line = format!("stream_renewals_total{{upstream=\"orders\",outcome=\"{outcome}\"}} 1");
        eventually(async || rig.health("/metrics").await.text().contains(&line)).await;
    }
}
