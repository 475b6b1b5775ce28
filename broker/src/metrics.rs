//! What the token endpoint, the reload of policies and the signing keys count.
//! Not here: metrics of connections, tasks and the store, which their owners register.

mod introspection;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use std::time::Duration;
use symbolon_daemon::Registry;
use symbolon_daemon::metrics::duration_histogram;
use symbolon_identity::ReasonCode;
use symbolon_policies::{Effect, Shadow};

use crate::keys::{KeyChange, KeyLife, Phase};
use crate::policies::FailedPolicy;
pub(crate) use introspection::IntrospectionMetrics;

/// Answers of the token endpoint.
#[derive(Debug, Clone)]
pub(crate) struct TokenMetrics {
    answers: Family<AnswerLabels, Counter>,
    seconds: Histogram,
    unrecorded: Counter,
    shadow: Family<ShadowLabels, Counter>,
    failed_policies: Family<PolicyLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShadowLabels {
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    effect: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    outcome: &'static str,
    reason: &'static str,
}

impl TokenMetrics {
    /// Adds the families to `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            answers: Family::default(),
            seconds: duration_histogram(),
            unrecorded: Counter::default(),
            shadow: Family::default(),
            failed_policies: Family::default(),
        };
        let help = "Answers of the token endpoint, by outcome and reason code";
        registry.register("broker_token_answers", help, metrics.answers.clone());
        let help = "Time from the whole request to the answer of the token endpoint";
        registry.register("broker_token_seconds", help, metrics.seconds.clone());
        let help = "Answers that were not given because they could not be put on record";
        registry.register("broker_token_unrecorded", help, metrics.unrecorded.clone());
        let help =
            "Decisions that policies in shadow mode would have changed, by what they would have made of them";
        registry.register("broker_shadow_verdicts", help, metrics.shadow.clone());
        let help = "Policies that could not be evaluated for a decision, by what they would do";
        registry.register("broker_policy_errors", help, metrics.failed_policies.clone());
        metrics
    }

    /// Counts policies that could not be evaluated.
    pub(crate) fn count_failed(&self, policies: &[FailedPolicy]) {
        for policy in policies {
            let effect = match policy.effect {
                Effect::Permit => "permit",
                Effect::Forbid => "forbid",
            };
            self.failed_policies.get_or_create(&PolicyLabels { effect }).inc();
        }
    }

    /// Counts a decision that policies in shadow mode would have changed.
    pub(crate) fn count_shadow(&self, shadow: &Shadow) {
        self.shadow.get_or_create(&ShadowLabels { verdict: shadow.as_str() }).inc();
    }

    /// Counts an answer; no reason means that a token was issued.
    pub(crate) fn count(&self, reason: Option<ReasonCode>) {
        let labels = match reason {
            None => AnswerLabels { outcome: "issued", reason: "" },
            Some(reason) => AnswerLabels { outcome: "refused", reason: reason.as_str() },
        };
        self.answers.get_or_create(&labels).inc();
    }

    /// Counts an answer that was not given.
    pub(crate) fn count_unrecorded(&self) {
        self.unrecorded.inc();
    }

    /// Notes how long an answer took.
    pub(crate) fn observe(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
    }
}

/// The policies in force.
#[derive(Debug, Clone)]
pub(crate) struct PolicyMetrics {
    reloads: Family<ReloadLabels, Counter>,
    policies: Gauge,
    stale: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: &'static str,
}

impl PolicyMetrics {
    /// Adds the families to `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics =
            Self { reloads: Family::default(), policies: Gauge::default(), stale: Gauge::default() };
        let help = "Attempts to reload the policies, by outcome";
        registry.register("broker_policy_reloads", help, metrics.reloads.clone());
        registry.register("broker_policies", "Policies in force", metrics.policies.clone());
        let help = "1 while the folder holds policies that were refused, so that older ones stay in force";
        registry.register("broker_policies_stale", help, metrics.stale.clone());
        metrics
    }

    /// Counts a reload that took effect, with the number of policies now in force.
    pub(crate) fn loaded(&self, policies: usize) {
        self.reloads.get_or_create(&ReloadLabels { outcome: "loaded" }).inc();
        self.stale.set(0);
        self.set(policies);
    }

    /// Counts a reload that was refused.
    pub(crate) fn refused(&self) {
        self.reloads.get_or_create(&ReloadLabels { outcome: "refused" }).inc();
        self.stale.set(1);
    }

    /// Notes the number of policies in force.
    pub(crate) fn set(&self, policies: usize) {
        self.policies.set(i64::try_from(policies).unwrap_or(i64::MAX));
    }
}

/// The signing keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyMetrics {
    keys: Family<PhaseLabels, Gauge>,
    changes: Family<ChangeLabels, Counter>,
    failures: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    change: &'static str,
}

impl KeyMetrics {
    /// Adds the families to `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics =
            Self { keys: Family::default(), changes: Family::default(), failures: Counter::default() };
        registry.register("broker_signing_keys", "Signing keys by phase of life", metrics.keys.clone());
        let help = "Changes to the signing keys";
        registry.register("broker_signing_key_changes", help, metrics.changes.clone());
        let help = "Changes to the signing keys that were due and failed";
        registry.register("broker_signing_key_failures", help, metrics.failures.clone());
        metrics
    }

    /// Notes the keys.
    pub(crate) fn show(&self, keys: &[KeyLife]) {
        for phase in [Phase::Published, Phase::Active, Phase::Retired] {
            let count = keys.iter().filter(|key| key.phase() == phase).count();
            let labels = PhaseLabels { phase: phase.as_str() };
            self.keys.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Counts a change.
    pub(crate) fn changed(&self, change: &KeyChange) {
        self.changes.get_or_create(&ChangeLabels { change: change.as_str() }).inc();
    }

    /// Counts a change that failed.
    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
