//! The configuration file: what an operator may write, one section a file.
//! What of it makes sense together is decided in `settings.rs`; nothing here opens a file or a socket.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_daemon::telemetry::TelemetryConfig;
use symbolon_evidence::SourceConfig;

mod broker;
mod key;
mod limits;
mod listen;
mod upstream;

pub use broker::BrokerConfig;
pub use key::{KeyAlgorithm, KeyConfig};
pub use limits::LimitsConfig;
pub use listen::{HealthConfig, ListenConfig, LocalListen};
pub use upstream::{AppAuthorization, UpstreamConfig};

/// The sidecar's configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The broker that issues our tokens.
    pub broker: BrokerConfig,
    /// How we show the broker who we are.
    pub evidence: SourceConfig,
    /// The proof key that the tokens are bound to.
    #[serde(default)]
    pub key: KeyConfig,
    /// The APIs that the app calls through us.
    pub upstreams: Vec<UpstreamConfig>,
    /// Listeners beside those of the upstreams.
    #[serde(default)]
    pub listen: ListenConfig,
    /// What callers may have open at each listener.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// After this time an upstream without a verdict no longer keeps `/startupz` from passing, unless it is `required`.
    #[serde(default = "start_timeout")]
    pub start_timeout: HumanDuration,
    /// Logging, on the standard error.
    #[serde(default)]
    pub log: TelemetryConfig,
}

const fn start_timeout() -> HumanDuration {
    HumanDuration::from_secs(30)
}

/// Where the health listener is by default.
const fn default_health() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8719)
}
