//! `gateway.yaml`: what a person writes, section by section, and how it becomes a finished plan.
//! Not here: anything that needs the network or binds a port.

mod findings;
mod issuer;
mod origin;
mod revocations;
mod route;
mod stage;
mod streams;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::{ConfigErrors, Environment, HumanDuration, Loaded};
use symbolon_daemon::telemetry::TelemetryConfig;
use symbolon_http::server::Bind;
use symbolon_http::tls::ServerTlsConfig;
use symbolon_identity::LocalTimeName;

pub use findings::Findings;
pub use issuer::{Binding, IssuerConfig};
pub use origin::{Origin, OriginError};
pub use revocations::{OnStale, RevocationsConfig};
pub use route::{MatchConfig, RouteConfig, UpstreamConfig};
pub use stage::{AuthorizeConfig, StageConfig, VerifyConfig};
pub use streams::StreamsConfig;

use crate::plan::Plan;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where callers reach us: `0.0.0.0:8720`.
    pub listen: Bind,
    /// With a certificate that listener speaks TLS and nothing else. Absent: plain HTTP.
    #[serde(default)]
    pub tls: Option<ServerTlsConfig>,
    /// Health, metrics and the operator's socket.
    pub admin: AdminConfig,
    /// What clients call us: scheme, host and port. A proof's `htu` is compared with these, never with `Host`.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// Whose tokens are accepted anywhere behind this gateway.
    #[serde(default)]
    pub issuers: Vec<IssuerConfig>,
    /// What every request has to pass, on each route before the route's own stages.
    #[serde(default)]
    pub stages: Vec<StageConfig>,
    /// What is forwarded where, and what it takes.
    pub routes: Vec<RouteConfig>,
    /// Places whose time of day policies may ask for, as `context.local.<name>`: each a time zone of the IANA
    /// database, like `Europe/Berlin`.
    #[serde(default)]
    pub local_times: BTreeMap<LocalTimeName, String>,
    /// How the issuers' keys are fetched and kept.
    #[serde(default)]
    pub keys: KeysConfig,
    /// Where decisions are recorded.
    #[serde(default)]
    pub audit: Option<AuditConfig>,
    /// Tokens whose signature was verified and need not be verified again.
    #[serde(default)]
    pub token_cache: TokenCacheConfig,
    /// Proofs that were used and must not be used again.
    #[serde(default)]
    pub replay: ReplayConfig,
    /// Limits of the public listener.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Logs.
    #[serde(default)]
    pub log: TelemetryConfig,
}

/// Health, metrics and the operator's socket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// TCP: `/livez /readyz /startupz /metrics` and nothing else.
    pub listen: SocketAddr,
    /// Unix socket for our own uid and root: `/v1/decisions/{id}`.
    #[serde(default)]
    pub socket: Option<PathBuf>,
}

/// How the issuers' keys are fetched and kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// Folder for the last good key sets, so that a restart survives an issuer that is down.
    pub directory: Option<PathBuf>,
    /// How long a key set serves before it is fetched again.
    pub refresh: HumanDuration,
    /// How long a key set serves while its issuer is down, counted from its fetch.
    pub max_stale: HumanDuration,
    /// PEM file with the only authorities that issuers' certificates are checked against; default: the public ones.
    pub ca_file: Option<PathBuf>,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            directory: None,
            refresh: HumanDuration::from_secs(300),
            max_stale: HumanDuration::from_secs(86_400),
            ca_file: None,
        }
    }
}

/// Where decisions are recorded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// JSON Lines, hash-chained, appended to.
    pub file: PathBuf,
}

/// Tokens whose signature was verified and need not be verified again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenCacheConfig {
    /// The most tokens that are kept; 0 switches the cache off.
    pub entries: usize,
}

impl Default for TokenCacheConfig {
    fn default() -> Self {
        Self { entries: 16_384 }
    }
}

/// Proofs that were used and must not be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayConfig {
    /// The most proofs that are remembered at once, each for 65 seconds at most; beyond it bound requests are answered
    /// 503.
    pub entries: usize,
    /// The most of them by one key; beyond it that key's requests are answered 503. Absent: a quarter of them.
    pub entries_per_key: Option<usize>,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self { entries: 1_048_576, entries_per_key: None }
    }
}

/// Limits of the public listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The most connections at once.
    pub connections: usize,
    /// The most connections of one address; absent: an eighth of them. Set it to `connections` where all callers come
    /// through one proxy. Addresses of this machine are not counted.
    pub connections_per_peer: Option<usize>,
    /// The most requests at once, whose answers have not ended; more are answered 503 `busy`.
    pub requests: usize,
    /// The most requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// How long requests in flight may take to end when the program is told to stop.
    pub drain: HumanDuration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let drain = HumanDuration::from_secs(25);
        Self { connections: 10_000, connections_per_peer: None, requests: 10_000, streams: 128, drain }
    }
}

/// A configuration that was read, and what it means.
#[derive(Debug)]
pub struct Planned {
    /// The configuration.
    pub loaded: Loaded<GatewayConfig>,
    /// What it means.
    pub plan: Plan,
    /// What is valid in it and deserves a look, with its place.
    pub warnings: Vec<String>,
}

/// Reads the file and makes the plan: all that start-up does, except to bind and to fetch.
///
/// # Errors
/// Everything that is wrong with it, each with its line and path.
pub fn load(path: &Path, environment: &Environment) -> Result<Planned, ConfigErrors> {
    let loaded = symbolon_config::load::<GatewayConfig>(path, environment)?;
    let mut findings = Findings::default();
    let base = path.parent().unwrap_or(Path::new(""));
    let plan = Plan::make(&loaded.value, base, &mut findings);
    let warnings = findings.take_warnings().into_iter();
    let warnings = warnings.map(|(path, message)| loaded.contradiction(&path, message).to_string()).collect();
    let errors = findings.into_iter().map(|(path, message)| loaded.contradiction(&path, message)).collect();
    ConfigErrors::check(errors)?;
    Ok(Planned { loaded, plan, warnings })
}

/// Logs what is valid and deserves a look.
pub fn log_warnings(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(event.name = "config.warning", warning, "the configuration deserves a look");
    }
}
