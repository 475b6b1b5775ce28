//! What is counted about WebSockets: handshakes, open ones, why they ended, how long they lasted.
//! Not here: other exchanges, which end with their answer.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use symbolon_daemon::Registry;
use symbolon_http::streams::Ending;
use symbolon_http::tunnel::{Cause, Observer, TunnelEnd};
use symbolon_identity::{ReasonCode, RouteName};
use tokio::time::Instant;

/// The metrics of WebSockets. Clones share them.
#[derive(Debug, Clone)]
pub struct Sockets {
    active: Gauge,
    handshakes: Family<HandshakeLabels, Counter>,
    disconnects: Family<DisconnectLabels, Counter>,
    durations: Histogram,
}

/// What came of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The socket is open.
    Accepted,
    /// The gateway said no, for this reason.
    Rejected(ReasonCode),
    /// The upstream answered, but not with 101.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    route: String,
    outcome: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DisconnectLabels {
    route: String,
    reason: &'static str,
}

/// A socket while it is open, so that it is counted out again however it ends.
struct Active {
    sockets: Sockets,
    route: RouteName,
    since: Instant,
    reason: &'static str,
}

impl Sockets {
    /// Makes the metrics and adds them to `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let sockets = Self {
            active: Gauge::default(),
            handshakes: Family::default(),
            disconnects: Family::default(),
            // From a tenth of a second to more than a day.
            durations: Histogram::new(exponential_buckets(0.1, 4.0, 11)),
        };
        registry.register("ws_active_connections", "WebSockets that are open", sockets.active.clone());
        registry.register(
            "ws_handshakes",
            "WebSocket handshakes, by route, outcome and reason",
            sockets.handshakes.clone(),
        );
        registry.register(
            "ws_disconnects",
            "WebSockets that ended, by route and reason",
            sockets.disconnects.clone(),
        );
        registry.register(
            "ws_connection_duration_seconds",
            "How long WebSockets were open",
            sockets.durations.clone(),
        );
        sockets
    }

    /// Counts a handshake; one that no route was found for has an empty route.
    pub fn handshake(&self, route: Option<&RouteName>, came: Handshake) {
        let (outcome, reason) = match came {
            Handshake::Accepted => ("accepted", ""),
            Handshake::Rejected(code) => ("rejected", code.as_str()),
            Handshake::Refused => ("refused", "upstream"),
        };
        let route = route.map_or("", RouteName::as_str).to_owned();
        self.handshakes.get_or_create(&HandshakeLabels { route, outcome, reason }).inc();
    }

    /// Counts a socket as open until it ends.
    #[must_use]
    pub fn open(&self, route: &RouteName) -> Observer {
        self.active.inc();
        let mut active = Active {
            sockets: self.clone(),
            route: route.clone(),
            since: Instant::now(),
            // What is dropped untold never reached its client.
            reason: "client",
        };
        Box::new(move |end: &TunnelEnd| active.end(end.cause))
    }
}

impl Active {
    fn end(&mut self, cause: Cause) {
        self.reason = reason(cause);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let lasted: Duration = self.since.elapsed();
        self.sockets.active.dec();
        self.sockets.durations.observe(lasted.as_secs_f64());
        let labels = DisconnectLabels { route: self.route.as_str().to_owned(), reason: self.reason };
        self.sockets.disconnects.get_or_create(&labels).inc();
    }
}

const fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Client => "client",
        Cause::Upstream => "upstream",
        Cause::Ended(Ending::Expired) => "token_expired",
        Cause::Ended(Ending::Revoked) => "revoked",
        Cause::Idle => "idle",
        Cause::Ended(Ending::Shutdown) | Cause::Shutdown => "shutdown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_counted_in_and_out_also_if_it_never_began() {
        let mut registry = Registry::new();
        let sockets = Sockets::register(&mut registry);
        let route = RouteName::parse("chat").unwrap();
        let (told, untold) = (sockets.open(&route), sockets.open(&route));
        assert_eq!(sockets.active.get(), 2);
        let cause = Cause::Ended(Ending::Expired);
        told(&TunnelEnd { cause, lasted: Duration::from_secs(1), bytes_up: 1, bytes_down: 1 });
        drop(untold);
        sockets.handshake(Some(&route), Handshake::Accepted);
        sockets.handshake(None, Handshake::Rejected(ReasonCode::UpgradeNotAllowed));
        let text = registry.encode().unwrap();
        for line in [
            "symbolon_ws_active_connections 0",
            "symbolon_ws_disconnects_total{route=\"chat\",reason=\"token_expired\"} 1",
            "symbolon_ws_disconnects_total{route=\"chat\",reason=\"client\"} 1",
            "symbolon_ws_connection_duration_seconds_count 2",
            "symbolon_ws_handshakes_total{route=\"chat\",outcome=\"accepted\",reason=\"\"} 1",
            "symbolon_ws_handshakes_total{route=\"\",outcome=\"rejected\",reason=\"upgrade_not_allowed\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
