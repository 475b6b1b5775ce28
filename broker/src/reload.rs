//! Reloading the policies when their folder changes or SIGHUP asks for it.
//! Not here: what they say. A set that does not validate changes nothing.

use std::sync::Arc;
use std::time::Duration;

use symbolon_audit::{Event, Outcome, Record};
use symbolon_config::Watch;
use symbolon_daemon::{Clock, Lifecycle};
use symbolon_identity::Timestamp;
use symbolon_policies::PolicyErrors;

use crate::metrics::PolicyMetrics;
use crate::policies::{CurrentSet, Policies};
use crate::store::{Entry, Ledger};

/// So long the folder has to stay the same before what it holds counts.
const SETTLING: Duration = Duration::from_millis(100);
/// So often we look before we give up until the next change.
const SETTLING_LOOKS: u32 = 50;

/// So long after a set could not be put on record it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Keeps the policies in force up to date.
#[derive(Debug)]
pub(crate) struct PolicyReload {
    pub(crate) policies: Arc<Policies>,
    pub(crate) metrics: PolicyMetrics,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
}

impl PolicyReload {
    /// Starts to watch.
    pub(crate) fn start(self, lifecycle: &Lifecycle) {
        let mut watch = Watch::new([self.policies.folder().to_path_buf()]);
        let mut asked = lifecycle.reloads();
        lifecycle.spawn_background("policy_reload", async move {
            // What changed between the first load and the first look of the watch would otherwise never be seen.
            let mut is_settled = self.reload().await;
            loop {
                tokio::select! {
                    () = watch.changed() => {}
                    () = asked.next() => {}
                    () = tokio::time::sleep(RETRY), if !is_settled => {}
                }
                is_settled = self.reload().await;
            }
        });
    }

    /// Loads what the folder holds and puts it in force, or says why not; false if that has to be tried again.
    async fn reload(&self) -> bool {
        let Some(loaded) = self.load_settled().await else { return true };
        match loaded {
            Ok(set) => self.adopt(set).await,
            Err(errors) => {
                self.metrics.refused();
                let problems = errors.to_string();
                tracing::error!(
                    event.name = "policies.refused",
                    problems,
                    "the changed policies are not valid, the last good ones stay in force"
                );
                let first: String = problems.chars().take(1024).collect();
                let record = self.event(Event::PoliciesRefused, Outcome::Failed);
                self.is_on_record(record.with_detail("problems", first)).await;
                true
            }
        }
    }

    /// The set that the folder holds twice in a row. A folder that somebody is still writing to may lack a `forbid` that
    /// is about to be there; the set in force stays until the folder has settled.
    async fn load_settled(&self) -> Option<Result<CurrentSet, PolicyErrors>> {
        let mut before = self.load().await?;
        for _ in 0..SETTLING_LOOKS {
            tokio::time::sleep(SETTLING).await;
            let now = self.load().await?;
            if fingerprint(&before) == fingerprint(&now) {
                return Some(now);
            }
            before = now;
        }
        tracing::warn!(
            event.name = "policies.unsettled",
            "the policies keep changing, the last good ones stay in force"
        );
        None
    }

    async fn load(&self) -> Option<Result<CurrentSet, PolicyErrors>> {
        let policies = Arc::clone(&self.policies);
        tokio::task::spawn_blocking(move || CurrentSet::load(policies.folder(), policies.local_times()))
            .await
            .ok()
    }

    /// Puts a set in force once that is on record: whoever asks later which policies decided must find them there.
    async fn adopt(&self, set: CurrentSet) -> bool {
        let (policies, fingerprint) = (set.len(), set.fingerprint().to_owned());
        if self.policies.current().fingerprint() == fingerprint {
            self.metrics.loaded(policies);
            return true;
        }
        let record = self.event(Event::PoliciesReloaded, Outcome::Success);
        let record = record.with_detail("policies", policies).with_detail("policy_set", fingerprint.as_str());
        if !self.is_on_record(record).await {
            self.metrics.refused();
            return false;
        }
        set.log_warnings();
        self.policies.replace(set);
        self.metrics.loaded(policies);
        tracing::info!(
            event.name = "policies.reloaded",
            policies,
            policy_set = fingerprint,
            "other policies are in force"
        );
        true
    }

    async fn is_on_record(&self, record: Record) -> bool {
        let recorded = self.ledger.record(Entry::Event(Box::new(record))).await;
        if let Err(error) = recorded {
            tracing::error!(
                event.name = "policies.unrecorded", %error,
                "a reload of the policies is not on record, the last good ones stay in force"
            );
        }
        recorded.is_ok()
    }

    fn event(&self, event: Event, outcome: Outcome) -> Record {
        Record::new(event, Timestamp::from_secs_saturating(self.clock.unix_seconds()), outcome)
    }
}

/// What was loaded, comparable; the texts of the errors for a folder that is not valid.
fn fingerprint(loaded: &Result<CurrentSet, PolicyErrors>) -> String {
    match loaded {
        Ok(set) => set.fingerprint().to_owned(),
        Err(errors) => errors.to_string(),
    }
}
