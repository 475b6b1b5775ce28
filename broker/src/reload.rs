//! Reloading the policies when their folder changes or SIGHUP asks for it.
//! Not here: what they say. A set that does not validate changes nothing.

use std::sync::Arc;

use symbolon_audit::{Event, Outcome, Record};
use symbolon_config::Watch;
use symbolon_daemon::{Clock, Lifecycle};
use symbolon_identity::Timestamp;

use crate::metrics::PolicyMetrics;
use crate::policies::{CurrentSet, Policies};
use crate::store::{Entry, Ledger};

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
            loop {
                tokio::select! {
                    () = watch.changed() => {}
                    () = asked.next() => {}
                }
                self.reload().await;
            }
        });
    }

    async fn reload(&self) {
        let folder = self.policies.folder().to_path_buf();
        let Ok(loaded) = tokio::task::spawn_blocking(move || CurrentSet::load(&folder)).await else { return };
        let record = match loaded {
            Ok(set) => self.adopt(set),
            Err(errors) => {
                self.metrics.refused();
                let problems = errors.to_string();
                tracing::error!(
                    event.name = "policies.refused",
                    problems,
                    "the changed policies are not valid, the last good ones stay in force"
                );
                let first: String = problems.chars().take(1024).collect();
                Some(self.event(Event::PoliciesRefused, Outcome::Failed).with_detail("problems", first))
            }
        };
        if let Some(record) = record
            && self.ledger.record(Entry::Event(Box::new(record))).await.is_err()
        {
            tracing::error!(event.name = "policies.unrecorded", "a reload of the policies is not on record");
        }
    }

    fn adopt(&self, set: CurrentSet) -> Option<Record> {
        let (policies, fingerprint) = (set.len(), set.fingerprint().to_owned());
        set.log_warnings();
        let changed = self.policies.replace(set);
        self.metrics.loaded(policies);
        if !changed {
            return None;
        }
        tracing::info!(
            event.name = "policies.reloaded",
            policies,
            policy_set = fingerprint,
            "other policies are in force"
        );
        let record = self.event(Event::PoliciesReloaded, Outcome::Success);
        Some(record.with_detail("policies", policies).with_detail("policy_set", fingerprint))
    }

    fn event(&self, event: Event, outcome: Outcome) -> Record {
        Record::new(event, Timestamp::from_secs_saturating(self.clock.unix_seconds()), outcome)
    }
}
