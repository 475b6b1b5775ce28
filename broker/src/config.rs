//! The broker's configuration file, one module a section.
//! Not here: what the sections become (`plan`).

mod clients;
mod introspection;
mod kept;
mod keys;
mod kubernetes;
mod limits;
mod listen;
mod outbound;
mod providers;
mod resources;
mod store;
mod subject_issuers;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_daemon::telemetry::TelemetryConfig;
use symbolon_identity::{GroupName, IssuerUrl, LocalTimeName, TrustDomain};

pub use clients::ClientConfig;
pub use introspection::{ClientAuthentication, IntrospectionConfig};
pub use kept::{KeptCertificateConfig, KeptConfig};
pub use keys::{KeysConfig, SigningAlgorithm};
pub use kubernetes::{ApiConfig, ApiServer, ClusterKeys, KubernetesConfig, Live};
pub use limits::LimitsConfig;
pub use listen::{ForwardedHeader, ListenConfig};
pub use outbound::OutboundConfig;
pub use providers::{OidcConfig, OidcKeys, ProviderConfig, Replay, UnixConfig};
pub use resources::{Binding, ExchangeMode, ResourceConfig};
pub use store::StoreConfig;
pub use subject_issuers::{SubjectIssuerConfig, TokenTypeName};

/// `broker.yaml`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Our issuer URL: the `iss` of every token and the only audience of evidence. On a loopback address its port
    /// may be 0, which stands for the port that the public listener got.
    pub issuer: IssuerUrl,
    /// The trust domain of every workload: `spiffe://<trust domain>/…`.
    pub trust_domain: TrustDomain,
    /// Where to listen.
    pub listen: ListenConfig,
    /// Where to remember.
    pub store: StoreConfig,
    /// What is kept in objects of the cluster that the broker runs in: a sealing key and a certificate that it makes itself.
    #[serde(default)]
    pub kept: Option<KeptConfig>,
    /// How signing keys come and go.
    #[serde(default)]
    pub keys: KeysConfig,
    /// Who vouches for workloads.
    #[serde(default)]
    pub trust_providers: Vec<ProviderConfig>,
    /// Clients that authenticate with a key of their own.
    #[serde(default)]
    pub clients: Vec<ClientConfig>,
    /// Other issuers whose tokens may be exchanged for ours.
    #[serde(default)]
    pub subject_issuers: Vec<SubjectIssuerConfig>,
    /// Groups of workloads: each a CEL condition over `workload` and `attested`.
    #[serde(default)]
    pub groups: BTreeMap<GroupName, String>,
    /// Places whose time of day policies may ask for, as `context.local.<name>`: each a time zone of the IANA
    /// database, like `Europe/Berlin`.
    #[serde(default)]
    pub local_times: BTreeMap<LocalTimeName, String>,
    /// What tokens are issued for.
    #[serde(default)]
    pub resources: Vec<ResourceConfig>,
    /// The folder with the `*.cedar` files.
    pub policies: PathBuf,
    /// What one caller, and all of them, may ask of us.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Where we may go to fetch issuers' keys.
    #[serde(default)]
    pub outbound: OutboundConfig,
    /// How to log.
    #[serde(default)]
    pub log: TelemetryConfig,
}
