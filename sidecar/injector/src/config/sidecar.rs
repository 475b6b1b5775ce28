//! The `sidecar` section: the container that pods get.
//! Its security context is not here: it is the strictest, and nobody can loosen it.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use symbolon_daemon::telemetry::LogLevel;

/// The container that pods get.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SidecarConfig {
    /// Its image, best by digest.
    pub image: String,
    /// Further images that the annotation `symbolon.dev/image` may pick.
    #[serde(default)]
    pub images: Vec<String>,
    /// When the kubelet pulls it.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// The user and group that it runs as; not 0, and best not one that apps use.
    #[serde(default = "user")]
    pub user: u32,
    /// Whether it is a native sidecar (an init container that goes on running).
    #[serde(default)]
    pub native: Native,
    /// Where it answers the kubelet's probes and serves its metrics. In a cluster with IPv6 only: `"[::]:8719"`.
    #[serde(default = "health")]
    pub health: SocketAddr,
    /// What it logs; the annotation `symbolon.dev/log-level` may say otherwise.
    #[serde(default)]
    pub log_level: LogLevel,
    /// CPU that the scheduler sets aside, such as `5m`. There is no limit: a throttled proxy is a slow app.
    #[serde(default = "cpu_request")]
    pub cpu_request: String,
    /// Memory that the scheduler sets aside, in `Mi` or `Gi`.
    #[serde(default = "memory_request")]
    pub memory_request: String,
    /// The most memory it may use, in `Mi` or `Gi`.
    #[serde(default = "memory_limit")]
    pub memory_limit: String,
}

/// Whether the container is a native sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Native {
    /// If the API server is of version 1.33 or later. `render` and `admission-policy` ask nobody and take it as yes.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// An ordinary container: the app may start before it, and a Job does not end by itself.
    Never,
}

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PullPolicy {
    /// If the node does not have it.
    #[default]
    IfNotPresent,
    /// At each start.
    Always,
    /// Never: the node has it.
    Never,
}

const fn user() -> u32 {
    8710
}

fn health() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 8719))
}

fn cpu_request() -> String {
    "5m".to_owned()
}

fn memory_request() -> String {
    "16Mi".to_owned()
}

fn memory_limit() -> String {
    "64Mi".to_owned()
}
