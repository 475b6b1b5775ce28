//! Following the policy folders: a changed set that is valid takes effect, a broken one leaves the last good one in force.
//! Not here: the configuration file itself (`reload.rs`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use symbolon_audit::{Event, Outcome, Record};
use symbolon_config::Watch;
use symbolon_policies::PolicyErrors;

use super::{CurrentSet, PolicyFolder};
use crate::clock::Now;
use crate::trail::Trail;

/// So long a folder has to stay the same before what it holds counts.
const SETTLING: Duration = Duration::from_millis(100);
/// So often we look before we give up until the next change.
const SETTLING_LOOKS: u32 = 50;
/// The most of what is wrong that is put on record.
const RECORDED: usize = 1024;

/// The folders of the configuration in force, and a watch on them.
#[derive(Debug)]
pub struct Followed {
    folders: Vec<Arc<PolicyFolder>>,
    watch: Watch,
}

impl Followed {
    /// Follows these folders from now on.
    #[must_use]
    pub fn new(folders: &[Arc<PolicyFolder>]) -> Self {
        let paths: Vec<PathBuf> = folders.iter().map(|folder| folder.path().to_owned()).collect();
        Self { folders: folders.to_vec(), watch: Watch::new(paths) }
    }

    /// Waits until a folder has changed.
    pub async fn changed(&mut self) {
        self.watch.changed().await;
    }

    /// Reads all folders again and reports what became of them. What is as it was is not reported.
    pub async fn reload(&self, trail: &Trail, now: &Now) {
        for folder in &self.folders {
            let record = match load_settled(folder).await {
                None => continue,
                Some(Ok(set)) => adopt(folder, set, trail, now),
                Some(Err(errors)) => Some(refuse(folder, &errors, trail, now)),
            };
            if let Some(record) = record {
                trail.report(record);
            }
        }
    }
}

fn adopt(folder: &PolicyFolder, set: CurrentSet, trail: &Trail, now: &Now) -> Option<Record> {
    let (policies, policy_set) = (set.set.len(), set.fingerprint.to_string());
    let warnings: Vec<String> = set.set.warnings().iter().map(ToString::to_string).collect();
    if !folder.replace(set) {
        return None;
    }
    trail.metrics().policies_reloaded(true);
    crate::config::log_warnings(&warnings);
    let path = folder.path().display().to_string();
    tracing::info!(
        event.name = "policies.reloaded",
        path,
        policies,
        policy_set,
        "other policies are in force"
    );
    let record = Record::new(Event::PoliciesReloaded, now.now(), Outcome::Success);
    Some(record.with_detail("policies", policies).with_detail("policy_set", policy_set))
}

fn refuse(folder: &PolicyFolder, errors: &PolicyErrors, trail: &Trail, now: &Now) -> Record {
    trail.metrics().policies_reloaded(false);
    let (path, problems) = (folder.path().display().to_string(), errors.to_string());
    tracing::error!(
        event.name = "policies.refused",
        path,
        problems,
        "the changed policies are not valid, the last good ones stay in force"
    );
    let first: String = problems.chars().take(RECORDED).collect();
    Record::new(Event::PoliciesRefused, now.now(), Outcome::Failed).with_detail("problems", first)
}

/// The set that a folder holds twice in a row. A folder that somebody is still writing to may lack a `forbid` that is
/// about to be there; the set in force stays until the folder has settled.
async fn load_settled(folder: &Arc<PolicyFolder>) -> Option<Result<CurrentSet, PolicyErrors>> {
    let mut before = load(folder).await?;
    for _ in 0..SETTLING_LOOKS {
        tokio::time::sleep(SETTLING).await;
        let now = load(folder).await?;
        if same(&before, &now) {
            return Some(now);
        }
        before = now;
    }
    let path = folder.path().display().to_string();
    tracing::warn!(
        event.name = "policies.unsettled",
        path,
        "the policies keep changing, the last good ones stay in force"
    );
    None
}

/// Validating takes longer than a thread that serves requests has.
async fn load(folder: &Arc<PolicyFolder>) -> Option<Result<CurrentSet, PolicyErrors>> {
    let folder = Arc::clone(folder);
    tokio::task::spawn_blocking(move || CurrentSet::load(folder.path(), folder.local_times())).await.ok()
}

fn same(one: &Result<CurrentSet, PolicyErrors>, other: &Result<CurrentSet, PolicyErrors>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.fingerprint == other.fingerprint,
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}
