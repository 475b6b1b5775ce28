//! Evidence that a platform keeps in a file: sent as it is now, measured, and warned of when nobody renews it.
//! The proof key that goes with it, and what of both outlives the process.

use std::fs;

use symbolon_daemon::Clock;
use symbolon_jws::base64url;

use crate::rig::{Plan, Rig, eventually};

const KUBERNETES: &str = "kubernetes: { token_file: \"{folder}/token\", provider: prod }";

/// A token that lives from `iat` to `exp`; nobody verifies it here.
fn token(iat: u64, exp: u64) -> String {
    let payload = format!(r#"{{"iss":"https://cluster","aud":["https://broker"],"iat":{iat},"exp":{exp}}}"#);
    format!("e30.{}.c2ln", base64url::encode(payload))
}

async fn metric(rig: &Rig, name: &str) -> Option<f64> {
    let answer = rig.health("/metrics").await;
    let line = answer.text().lines().find(|line| line.starts_with(&format!("{name} ")))?;
    line.rsplit_once(' ').unwrap().1.parse().ok()
}

#[tokio::test]
async fn a_projected_token_is_sent_and_its_age_measured() {
    let rig = Rig::start(&Plan { evidence: KUBERNETES, socket: false, ..Plan::default() });
    let now = rig.clock.unix_seconds();
    let written = token(now - 900, now + 900);
    fs::write(rig.folder.path().join("token"), &written).unwrap();
    eventually(async || rig.call("/").send().await.status == 200).await;
    let asked = rig.broker.asked().remove(0);
    assert_eq!(asked.form["client_assertion"], written);
    assert_eq!(asked.form["trust_provider"], "prod");
    assert_eq!(metric(&rig, "symbolon_sidecar_evidence_age_ratio").await, Some(0.5));
    let expiry = metric(&rig, "symbolon_sidecar_evidence_expiry_timestamp_seconds").await;
    assert_eq!(expiry.unwrap().to_bits(), f64::from(u32::try_from(now + 900).unwrap()).to_bits());
}

#[tokio::test]
async fn a_token_that_says_nothing_of_its_life_is_sent_and_not_measured() {
    let rig = Rig::start(&Plan { evidence: KUBERNETES, socket: false, ..Plan::default() });
    fs::write(rig.folder.path().join("token"), "head.body.signature").unwrap();
    eventually(async || rig.call("/").send().await.status == 200).await;
    assert_eq!(metric(&rig, "symbolon_sidecar_evidence_age_ratio").await, Some(0.0));
}
