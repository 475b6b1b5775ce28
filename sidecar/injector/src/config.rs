//! The configuration file: what an operator may write, one section a file.
//! What of it makes sense together is decided in `settings.rs`; nothing here opens a file or a socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_daemon::telemetry::TelemetryConfig;
use symbolon_identity::UpstreamName;

mod broker;
mod sidecar;
mod upstream;
mod webhook;

pub use broker::{BrokerConfig, EvidenceConfig};
pub use sidecar::{Native, PullPolicy, SidecarConfig};
pub use upstream::{AppAuthorization, UpstreamConfig};
pub use webhook::{FilesConfig, SelfConfig, TlsConfig, TlsMode, WebhookConfig};

/// The injector's configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The container that pods get.
    pub sidecar: SidecarConfig,
    /// The broker that the sidecars ask for tokens.
    pub broker: BrokerConfig,
    /// The projected token by which a sidecar shows the broker who it is.
    #[serde(default)]
    pub evidence: EvidenceConfig,
    /// The APIs that pods may call through their sidecar, by the name that the annotation uses.
    #[serde(default)]
    pub upstreams: BTreeMap<UpstreamName, UpstreamConfig>,
    /// A folder with one file for each further upstream, `NAME` or `NAME.yaml`, such as a mounted `ConfigMap`.
    #[serde(default)]
    pub upstreams_folder: Option<PathBuf>,
    /// What a pod without the annotation `symbolon.dev/upstreams` gets.
    #[serde(default)]
    pub default_upstreams: Vec<UpstreamName>,
    /// Pods with more containers, of all kinds together, are refused.
    #[serde(default = "max_containers")]
    pub max_containers: usize,
    /// The admission webhook. Not needed by `render` and `admission-policy`.
    #[serde(default)]
    pub webhook: WebhookConfig,
    /// Logging, on the standard error.
    #[serde(default)]
    pub log: TelemetryConfig,
}

const fn max_containers() -> usize {
    256
}
