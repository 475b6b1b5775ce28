//! What the injector counts. Labels are enums, never a name of a pod or namespace.
//! Health is not here: `/readyz` says what is waited for.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use symbolon_daemon::Registry;
use symbolon_daemon::metrics::duration_histogram;

/// The counters and gauges of the webhook.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    admissions: Family<Admission, Counter>,
    pub(crate) duration: Histogram,
    reloads: Family<Reload, Counter>,
    pub(crate) certificate_expiry: Gauge,
    pub(crate) authority_expiry: Gauge,
    pub(crate) api_failures: Counter,
}

/// What became of one question of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Admitted {
    Injected,
    Unchanged,
    Refused,
    /// It was no question that we can answer.
    Invalid,
    /// It was too large or too slow to be read.
    Unread,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Admission {
    outcome: Admitted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    outcome: Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Taken {
    Taken,
    Refused,
}

impl EncodeLabelValue for Admitted {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Injected => "injected",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::Unread => "unread",
        })
    }
}

impl EncodeLabelValue for Taken {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
        })
    }
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            admissions: Family::default(),
            duration: duration_histogram(),
            reloads: Family::default(),
            certificate_expiry: Gauge::default(),
            authority_expiry: Gauge::default(),
            api_failures: Counter::default(),
        };
        let mut add = |name: &str, help: &str, metric: Counter| registry.register(name, help, metric);
        add("injector_api_failures", "Requests to the API server that failed", metrics.api_failures.clone());
        registry.register("injector_admissions", "Questions of the API server", metrics.admissions.clone());
        registry.register(
            "injector_admission_duration_seconds",
            "Time from the last byte of a question to its answer",
            metrics.duration.clone(),
        );
        registry.register("injector_reloads", "Changed configurations", metrics.reloads.clone());
        registry.register(
            "injector_certificate_expiry_timestamp_seconds",
            "When the webhook's certificate ends, with `tls.mode: self`",
            metrics.certificate_expiry.clone(),
        );
        registry.register(
            "injector_authority_expiry_timestamp_seconds",
            "When the authority ends that signed the webhook's certificate, with `tls.mode: self`",
            metrics.authority_expiry.clone(),
        );
        metrics
    }

    pub(crate) fn admitted(&self, outcome: Admitted) {
        self.admissions.get_or_create(&Admission { outcome }).inc();
    }

    pub(crate) fn reloaded(&self, taken: bool) {
        let outcome = if taken { Taken::Taken } else { Taken::Refused };
        self.reloads.get_or_create(&Reload { outcome }).inc();
    }
}
