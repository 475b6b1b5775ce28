//! What a listener counts: connections, not requests.
//! Not the decisions of a program, which count themselves.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use symbolon_daemon::Registry;

/// The metrics of all listeners of a program.
#[derive(Debug, Clone, Default)]
pub struct ServerMetrics {
    open: Family<Listener, Gauge>,
    accepted: Family<Listener, Counter>,
    accept_errors: Family<Listener, Counter>,
    timed_out: Family<Listener, Counter>,
    busy: Family<Listener, Counter>,
    handshakes_failed: Family<Listener, Counter>,
    certificate_expiry: Family<Listener, Gauge>,
    certificate_reloads: Family<Reload, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Listener {
    listener: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    listener: &'static str,
    outcome: &'static str,
}

impl ServerMetrics {
    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("http_connections", "Open connections, by listener", self.open.clone());
        registry.register(
            "http_connections_accepted",
            "Connections accepted, by listener",
            self.accepted.clone(),
        );
        registry.register(
            "http_accept_errors",
            "Connections that could not be accepted, by listener",
            self.accept_errors.clone(),
        );
        registry.register(
            "http_connections_timed_out",
            "Connections closed because the peer was too slow, by listener",
            self.timed_out.clone(),
        );
        registry.register(
            "http_requests_refused",
            "Requests answered 503 because too many were under way, by listener",
            self.busy.clone(),
        );
        registry.register(
            "http_tls_handshakes_failed",
            "TLS handshakes that failed or took too long, by listener",
            self.handshakes_failed.clone(),
        );
        registry.register(
            "http_certificate_expiry_timestamp_seconds",
            "When the certificate that is served expires, by listener",
            self.certificate_expiry.clone(),
        );
        registry.register(
            "http_certificate_reloads",
            "Changed certificates that took effect or were refused, by listener",
            self.certificate_reloads.clone(),
        );
    }

    /// The handles of one listener.
    pub(super) fn listener(&self, name: &'static str) -> ListenerMetrics {
        let label = Listener { listener: name };
        ListenerMetrics {
            open: self.open.get_or_create(&label).clone(),
            accepted: self.accepted.get_or_create(&label).clone(),
            accept_errors: self.accept_errors.get_or_create(&label).clone(),
            timed_out: self.timed_out.get_or_create(&label).clone(),
            busy: self.busy.get_or_create(&label).clone(),
            handshakes_failed: self.handshakes_failed.get_or_create(&label).clone(),
        }
    }

    /// The handles of the certificate of one listener.
    pub(super) fn certificate(&self, listener: &'static str) -> CertificateMetrics {
        let reloads = |outcome| self.certificate_reloads.get_or_create(&Reload { listener, outcome }).clone();
        CertificateMetrics {
            expiry: self.certificate_expiry.get_or_create(&Listener { listener }).clone(),
            loaded: reloads("loaded"),
            refused: reloads("refused"),
        }
    }
}

/// The metrics of one listener.
#[derive(Debug, Clone)]
pub(super) struct ListenerMetrics {
    pub(super) open: Gauge,
    pub(super) accepted: Counter,
    pub(super) accept_errors: Counter,
    pub(super) timed_out: Counter,
    pub(super) busy: Counter,
    pub(super) handshakes_failed: Counter,
}

/// The metrics of the certificate of one listener.
#[derive(Debug, Clone)]
pub(crate) struct CertificateMetrics {
    pub(crate) expiry: Gauge,
    pub(crate) loaded: Counter,
    pub(crate) refused: Counter,
}
