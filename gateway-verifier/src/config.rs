//! `gateway.yaml`: what a person writes, section by section, and how it becomes a finished plan.
//! Not here: anything that needs the network or binds a port.

mod findings;
mod issuer;
mod origin;
mod route;
mod streams;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::{ConfigErrors, Environment, HumanDuration, Loaded};
use symbolon_daemon::telemetry::TelemetryConfig;
use symbolon_http::server::Bind;

pub use findings::Findings;
pub use issuer::{Binding, IssuerConfig};
pub use origin::{Origin, OriginError};
pub use route::{MatchConfig, RouteConfig, StageConfig, UpstreamConfig, VerifyConfig};
pub use streams::StreamsConfig;

use crate::plan::Plan;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where callers reach us: `0.0.0.0:8720`.
    pub listen: Bind,
    /// Health, metrics and the operator's socket.
    pub admin: AdminConfig,
    /// What clients call us: scheme, host and port. A proof's `htu` is compared with these, never with `Host`.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// Whose tokens are accepted anywhere behind this gateway.
    #[serde(default)]
    pub issuers: Vec<IssuerConfig>,
    /// What is forwarded where, and what it takes.
    pub routes: Vec<RouteConfig>,
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
    /// The most proofs that are remembered at once; beyond it bound requests are answered 503.
    pub entries: usize,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self { entries: 1_048_576 }
    }
}

/// Limits of the public listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The most connections at once.
    pub connections: usize,
    /// The most requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// How long requests in flight may take to end when the program is told to stop.
    pub drain: HumanDuration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { connections: 10_000, streams: 128, drain: HumanDuration::from_secs(25) }
    }
}

/// Reads the file and makes the plan: all that start-up does, except to bind and to fetch.
///
/// # Errors
/// Everything that is wrong with it, each with its line and path.
pub fn load(path: &Path, environment: &Environment) -> Result<(Loaded<GatewayConfig>, Plan), ConfigErrors> {
    let loaded = symbolon_config::load::<GatewayConfig>(path, environment)?;
    let plan = plan(&loaded)?;
    Ok((loaded, plan))
}

/// The plan of a configuration that was read.
///
/// # Errors
/// Every contradiction in it, each with its line and path.
pub fn plan(loaded: &Loaded<GatewayConfig>) -> Result<Plan, ConfigErrors> {
    let mut findings = Findings::default();
    let plan = Plan::make(&loaded.value, &mut findings);
    let errors = findings.into_iter().map(|(path, message)| loaded.contradiction(&path, message)).collect();
    ConfigErrors::check(errors)?;
    Ok(plan)
}
