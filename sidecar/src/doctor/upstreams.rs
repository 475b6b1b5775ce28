//! Checks of the upstreams: whether each can be connected to, TLS included.
//! No request is sent: whether the API takes our token is not found out.

use futures_util::future::join_all;
use serde_json::json;
use symbolon_http::TlsFault;
use symbolon_http::forward::{ForwardOptions, ProbeError, probe};
use symbolon_program::chain;
use tokio::time::Instant;

use super::PATIENCE;
use super::report::Check;
use crate::settings::{Settings, Upstream};

/// Connects to all of them at once.
pub(super) async fn look(settings: &Settings) -> Vec<Check> {
    join_all(settings.upstreams.iter().map(one)).await
}

async fn one(upstream: &Upstream) -> Check {
    let check = format!("upstream.{}", upstream.name);
    let origin = upstream.target.origin();
    let options = ForwardOptions {
        connect_timeout: PATIENCE,
        ca_file: upstream.ca_file.clone(),
        http2: upstream.http2,
        ..ForwardOptions::default()
    };
    let begun = Instant::now();
    match probe(origin, &options).await {
        Ok(()) => {
            let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let how = if origin.is_tls() { "TLS" } else { "TCP" };
            let found = format!("{origin} connected by {how} in {took} ms");
            Check::ok(&check, found).with(json!({ "connected_ms": took }))
        }
        Err(error) => Check::failed(&check, format!("{origin}: {}", chain(&error)), advice(&error)),
    }
}

fn advice(error: &ProbeError) -> &'static str {
    match error {
        ProbeError::Setup(_) => "mend the upstream's `ca_file`: PEM certificates of the target's authority",
        ProbeError::TimedOut => "look at the network policy and firewalls between here and the target",
        ProbeError::Tls { fault, .. } => tls_advice(*fault, "ca_file"),
        ProbeError::Connect(_) => "look at the target's name in DNS, its port, and whether it runs",
    }
}

/// What to do about a fault in a handshake with a peer whose authority `key` names.
pub(super) fn tls_advice(fault: TlsFault, key: &str) -> &'static str {
    match fault {
        TlsFault::UnknownIssuer if key == "broker.ca_file" => {
            "set `broker.ca_file` to the authority that signed the broker's certificate"
        }
        TlsFault::UnknownIssuer => {
            "set the upstream's `ca_file` to the authority that signed the target's certificate"
        }
        TlsFault::Expired => "renew the peer's certificate, or set our clock back to the time",
        TlsFault::NotYetValid => "our clock is slow, or the peer's certificate is for later",
        TlsFault::OtherName => {
            "use a name that is in the peer's certificate, or have one made with this name"
        }
        TlsFault::NotTls => "the peer speaks no TLS on this port: mend the port or the scheme",
        TlsFault::Other => "look at the peer's TLS settings: TLS 1.2 or 1.3, no client certificate needed",
    }
}
