//! What the gateway counts. Labels are words from a fixed list.
//! Not here: connections (`symbolon-http`) and tasks (`symbolon-daemon`).

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use symbolon_daemon::Registry;
use symbolon_identity::ReasonCode;

/// The gateway's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    admitted_known: Counter,
    admitted_fresh: Counter,
    admitted_anonymous: Counter,
    rejected: Family<Reason, Counter>,
    /// Audit records that were written.
    pub audit_written: Counter,
    /// Audit records that were lost: the queue was full or the file could not be written.
    pub audit_lost: Counter,
    /// Tokens in the cache.
    pub cached_tokens: Gauge,
    /// Proofs that are remembered.
    pub remembered_proofs: Gauge,
    /// Issuers whose keys cannot be used at the moment.
    pub issuers_without_keys: Gauge,
    /// Things that the issuers have revoked.
    pub revocations: Gauge,
    /// Revocation feeds that were not heard of for too long.
    pub stale_feeds: Gauge,
    /// Streams that ended because their token was revoked, or its issuer is trusted no longer.
    pub revoked_streams: Counter,
    /// Times that an open stream went on with another token.
    pub renewed_streams: Counter,
    reloads: Family<Reload, Counter>,
    policy_reloads: Family<Reload, Counter>,
    shadow: Family<Shadow, Counter>,
    /// Policies in force, in all folders.
    pub policies: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Caller {
    caller: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Shadow {
    verdict: &'static str,
}

/// Who was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmittedCaller {
    /// A caller whose token had been verified before.
    Known,
    /// A caller whose token was verified for this request.
    Fresh,
    /// Nobody in particular, on a public route.
    Anonymous,
}

impl Metrics {
    /// Makes the metrics and adds them to `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let admitted: Family<Caller, Counter> = Family::default();
        let handle = |caller| admitted.get_or_create(&Caller { caller }).clone();
        let metrics = Self {
            admitted_known: handle("known"),
            admitted_fresh: handle("fresh"),
            admitted_anonymous: handle("anonymous"),
            rejected: Family::default(),
            audit_written: Counter::default(),
            audit_lost: Counter::default(),
            cached_tokens: Gauge::default(),
            remembered_proofs: Gauge::default(),
            issuers_without_keys: Gauge::default(),
            revocations: Gauge::default(),
            stale_feeds: Gauge::default(),
            revoked_streams: Counter::default(),
            renewed_streams: Counter::default(),
            reloads: Family::default(),
            policy_reloads: Family::default(),
            shadow: Family::default(),
            policies: Gauge::default(),
        };
        registry.register("gateway_admitted", "Requests that were let through, by kind of caller", admitted);
        registry.register(
            "gateway_rejected",
            "Requests that were rejected, by reason",
            metrics.rejected.clone(),
        );
        registry.register("gateway_audit_records", "Audit records written", metrics.audit_written.clone());
        registry.register("gateway_audit_lost", "Audit records lost", metrics.audit_lost.clone());
        registry.register("gateway_cached_tokens", "Verified tokens kept", metrics.cached_tokens.clone());
        registry.register(
            "gateway_remembered_proofs",
            "Used proofs remembered",
            metrics.remembered_proofs.clone(),
        );
        registry.register(
            "gateway_issuers_without_keys",
            "Issuers whose keys cannot be used at the moment",
            metrics.issuers_without_keys.clone(),
        );
        metrics.register_revocations(registry);
        registry.register(
            "gateway_config_reloads",
            "Changed configurations, by outcome",
            metrics.reloads.clone(),
        );
        metrics.register_policies(registry);
        metrics
    }

    fn register_revocations(&self, registry: &mut Registry) {
        registry.register("gateway_revocations", "Revocations that are known", self.revocations.clone());
        registry.register(
            "gateway_stale_revocation_feeds",
            "Revocation feeds that were not heard of for too long",
            self.stale_feeds.clone(),
        );
        registry.register(
            "gateway_revoked_streams",
            "Open exchanges that ended because their token was revoked",
            self.revoked_streams.clone(),
        );
        registry.register(
            "gateway_stream_renewals",
            "Times that an open stream went on with another token",
            self.renewed_streams.clone(),
        );
    }

    fn register_policies(&self, registry: &mut Registry) {
        registry.register(
            "gateway_policy_reloads",
            "Changed policy folders, by outcome",
            self.policy_reloads.clone(),
        );
        registry.register(
            "gateway_shadow_verdicts",
            "Decisions that policies in shadow mode would have changed, by what they would have made of them",
            self.shadow.clone(),
        );
        registry.register("gateway_policies", "Policies in force", self.policies.clone());
    }

    /// Counts a request that was let through.
    pub fn admitted(&self, caller: AdmittedCaller) {
        match caller {
            AdmittedCaller::Known => self.admitted_known.inc(),
            AdmittedCaller::Fresh => self.admitted_fresh.inc(),
            AdmittedCaller::Anonymous => self.admitted_anonymous.inc(),
        };
    }

    /// Counts a request that was rejected.
    pub fn rejected(&self, code: ReasonCode) {
        self.rejected.get_or_create(&Reason { reason: code.as_str() }).inc();
    }

    /// Counts a changed configuration.
    pub fn reloaded(&self, taken: bool) {
        self.reloads.get_or_create(&Reload { outcome: if taken { "taken" } else { "refused" } }).inc();
    }

    /// Counts a changed policy folder.
    pub fn policies_reloaded(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "refused" };
        self.policy_reloads.get_or_create(&Reload { outcome }).inc();
    }

    /// Counts a request that policies in shadow mode would have decided otherwise.
    pub fn shadowed(&self, shadow: &symbolon_policies::Shadow) {
        self.shadow.get_or_create(&Shadow { verdict: shadow.as_str() }).inc();
    }
}
