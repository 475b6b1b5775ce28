//! What the sidecar counts. Labels are enums and the names of configured upstreams, nothing else.
//! No metric tells what a token says or who called.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{
    EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use symbolon_daemon::Registry;
use symbolon_daemon::metrics::duration_histogram;
use symbolon_evidence::Life;
use symbolon_identity::{Timestamp, UpstreamName};

use crate::credentials::Account;
use crate::renewals::Came;

/// Counters about asking the broker.
#[derive(Clone, Debug)]
pub(crate) struct BrokerMetrics {
    requests: Family<Asked, Counter>,
    duration: Histogram,
    pub(crate) evidence: EvidenceMetrics,
}

/// How fresh the evidence was when it was last used.
#[derive(Clone, Debug, Default)]
pub(crate) struct EvidenceMetrics {
    age: Gauge,
    age_ratio: Gauge<f64, AtomicU64>,
    expiry: Gauge,
}

/// Counters about local requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestMetrics {
    requests: Family<Served, Counter>,
    renewals: Family<Renewal, Counter>,
}

/// What came of one request to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AskOutcome {
    Granted,
    Denied,
    Refused,
    /// The answer was one that we do not use: unbound, malformed, or over already.
    Discarded,
    /// The broker did not answer, or said that it cannot.
    Unavailable,
    /// There was no evidence to send.
    NoEvidence,
}

/// What became of one local request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Forwarded,
    Denied,
    TokenUnavailable,
    UpstreamFailed,
    TurnedAway,
}

impl EncodeLabelValue for AskOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Discarded => "discarded",
            Self::Unavailable => "unavailable",
            Self::NoEvidence => "no_evidence",
        })
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Forwarded => "forwarded",
            Self::Denied => "denied",
            Self::TokenUnavailable => "token_unavailable",
            Self::UpstreamFailed => "upstream_failed",
            Self::TurnedAway => "turned_away",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    outcome: AskOutcome,
}

impl EncodeLabelValue for Came {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Renewed => "renewed",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Renewal {
    upstream: UpstreamLabel,
    outcome: Came,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    upstream: UpstreamLabel,
    outcome: Outcome,
}

/// An upstream of the configuration as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamLabel(pub(crate) UpstreamName);

impl EncodeLabelValue for UpstreamLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(self.0.as_str())
    }
}

impl BrokerMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            duration: duration_histogram(),
            evidence: EvidenceMetrics::register(registry),
        };
        let requests = metrics.requests.clone();
        registry.register(
            "sidecar_token_requests",
            "Requests for tokens to the broker, by outcome",
            requests,
        );
        registry.register(
            "sidecar_token_request_duration_seconds",
            "How long the broker took to answer",
            metrics.duration.clone(),
        );
        metrics
    }

    pub(crate) fn asked(&self, outcome: AskOutcome, took: Duration) {
        self.requests.get_or_create(&Asked { outcome }).inc();
        self.duration.observe(took.as_secs_f64());
    }
}

impl EvidenceMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "sidecar_evidence_age_seconds",
            "Age of the evidence when it was last used, where that is known",
            metrics.age.clone(),
        );
        registry.register(
            "sidecar_evidence_age_ratio",
            "How much of the evidence's life was over when it was last used, 1 at its end; above 0.85 nobody renews it",
            metrics.age_ratio.clone(),
        );
        registry.register(
            "sidecar_evidence_expiry_timestamp_seconds",
            "When the evidence that was last used expires, in Unix time; 0 where that is not known",
            metrics.expiry.clone(),
        );
        metrics
    }

    pub(crate) fn age(&self, age: Duration) {
        self.age.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }

    pub(crate) fn life(&self, life: Life, now: Timestamp) {
        self.age_ratio.set(f64::from(life.age_permille(now)) / 1000.0);
        self.expiry.set(i64::try_from(life.end().as_secs()).unwrap_or(i64::MAX));
    }
}

impl RequestMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let requests = metrics.requests.clone();
        registry.register("sidecar_requests", "Requests of local callers, by upstream and outcome", requests);
        registry.register(
            "sidecar_stream_renewals",
            "Renewals of open streams, by upstream and outcome",
            metrics.renewals.clone(),
        );
        metrics
    }

    pub(crate) fn renewed(&self, upstream: &UpstreamLabel, outcome: Came) {
        self.renewals.get_or_create(&Renewal { upstream: upstream.clone(), outcome }).inc();
    }

    pub(crate) fn served(&self, upstream: &UpstreamLabel, outcome: Outcome) {
        self.requests.get_or_create(&Served { upstream: upstream.clone(), outcome }).inc();
    }
}

/// For each upstream, how long its credential would outlast a broker that goes away now; read when scraped.
#[derive(Debug)]
pub(crate) struct OutageBudgets {
    accounts: Vec<(UpstreamLabel, Arc<Account>)>,
}

impl OutageBudgets {
    pub(crate) fn register(registry: &mut Registry, accounts: Vec<(UpstreamLabel, Arc<Account>)>) {
        registry.register(
            "sidecar_outage_budget_seconds",
            "How long each upstream's token would outlast a broker that goes away now",
            Self { accounts },
        );
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUpstream {
    upstream: UpstreamLabel,
}

impl EncodeMetric for OutageBudgets {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        for (upstream, account) in &self.accounts {
            let labels = OfUpstream { upstream: upstream.clone() };
            let left = i64::try_from(account.outage_budget().as_secs()).unwrap_or(i64::MAX);
            encoder.encode_family(&labels)?.encode_gauge(&left)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}
