//! Steps: a call that policy denies, and the same call after the policy was edited.
//! Not here: the changed sidecar.

use std::time::Duration;

use anyhow::Context as _;
use symbolon_identity::ReasonCode;
use tokio::time::{Instant, sleep};

use super::Seen;
use super::scene::{Echoed, Scene};
use crate::dev::configs::{NOBODY, PAYROLL_FILE};

/// How long a reload and the sidecar's next attempt may take together.
const RELOAD: Duration = Duration::from_secs(30);

/// A denial that reaches the app with its reason code and decision id.
pub(super) async fn by_policy(scene: &Scene<'_>) -> Seen {
    let call = scene.through_sidecar("payroll", "/payroll/1")?;
    let problem = scene.refused(call, 403, &[ReasonCode::Denied]).await?;
    let id = problem.decision_id.context("the denial has no decision id")?;
    Ok(format!("403 {}, decision {id}", problem.code))
}

/// The edit that the printed commands show.
pub(super) async fn then_allowed(scene: &Scene<'_>) -> Seen {
    let before = scene.through_sidecar("payroll", "/payroll/1")?;
    scene.refused(before, 403, &[ReasonCode::Denied]).await.context("before the edit")?;
    let path = scene.stack.folder.file(PAYROLL_FILE);
    let text = std::fs::read_to_string(&path)?;
    anyhow::ensure!(text.contains(&NOBODY.to_string()), "the policy does not name the user {NOBODY}");
    let uid = rustix::process::getuid().as_raw();
    std::fs::write(&path, text.replace(&NOBODY.to_string(), &uid.to_string()))?;
    let edited = Instant::now();
    loop {
        let answer = scene.through_sidecar("payroll", "/payroll/1")?.send().await?;
        if answer.status == 200 {
            Echoed::of(&answer)?;
            return Ok(format!("200, {} ms after the edit", edited.elapsed().as_millis()));
        }
        anyhow::ensure!(edited.elapsed() < RELOAD, "still {} after {RELOAD:?}", answer.status);
        sleep(Duration::from_millis(20)).await;
    }
}
