//! Where local callers reach the sidecar, and who may.
//! Contradictions (both kinds of address, a TCP address without the opt-in) are found in `settings.rs`.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Listeners beside those of the upstreams.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// The local token endpoint, `GET /v1/token?upstream=NAME`. Without it no caller can read a token.
    pub endpoints: Option<LocalListen>,
    /// Health and metrics.
    pub health: HealthConfig,
}

/// The address of the health listener.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HealthConfig(pub SocketAddr);

impl Default for HealthConfig {
    fn default() -> Self {
        Self(super::default_health())
    }
}

/// A listener for callers on this machine: either `unix` or `tcp`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LocalListen {
    /// The path of a Unix socket.
    pub unix: Option<PathBuf>,
    /// The users who may connect to the Unix socket; without it only the sidecar's own.
    pub uids: Vec<u32>,
    /// A loopback address.
    pub tcp: Option<SocketAddr>,
    /// Has to be `true` for `tcp`: whatever process on this machine (in this pod) connects, speaks as this workload.
    pub allow_any_local_process: bool,
}
