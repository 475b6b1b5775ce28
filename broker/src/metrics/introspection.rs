//! Questions to other issuers about their tokens.
//! Not here: what became of the exchange, which the token endpoint counts.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use symbolon_daemon::Registry;
use symbolon_daemon::metrics::duration_histogram;

/// The questions, by how they ended.
#[derive(Debug, Clone)]
pub(crate) struct IntrospectionMetrics {
    questions: Family<OutcomeLabels, Counter>,
    seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl IntrospectionMetrics {
    /// Adds the families to `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { questions: Family::default(), seconds: duration_histogram() };
        let help = "Tokens that other issuers had to be asked about, by outcome";
        registry.register("broker_introspections", help, metrics.questions.clone());
        let help = "Time that another issuer took to answer about its token";
        registry.register("broker_introspection_seconds", help, metrics.seconds.clone());
        metrics
    }

    /// Counts one, with the time that it took if it was asked at all.
    pub(crate) fn observe(&self, outcome: &'static str, took: Option<Duration>) {
        self.questions.get_or_create(&OutcomeLabels { outcome }).inc();
        if let Some(took) = took {
            self.seconds.observe(took.as_secs_f64());
        }
    }
}
