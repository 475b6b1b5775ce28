//! Settings of a `kubernetes` provider: one cluster, its keys, and how it is asked about its pods.
//! Not here: asking (`attest::kubernetes`).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, IssuerUrl};
use symbolon_jws::Algorithm;

/// Settings of a `kubernetes` provider. Clusters may have the same issuer, as those that one tool makes do: they are
/// told apart by their keys, which have to differ.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesConfig {
    /// The exact `iss` of its service account tokens (`--service-account-issuer`).
    pub issuer: IssuerUrl,
    /// Where its keys come from.
    #[serde(default)]
    pub keys: ClusterKeys,
    /// The API server, and who we are there; our own cluster by default. Needed unless `live: off` and other `keys`.
    #[serde(default)]
    pub api: ApiConfig,
    /// Whether the cluster has to confirm each token and its pod.
    #[serde(default)]
    pub live: Live,
    /// The one audience that its tokens must have; our issuer by default.
    #[serde(default)]
    pub audience: Option<Audience>,
    /// The algorithms that it may use; by default what its keys say.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// The longest accepted life of a token, from `iat` to `exp`. The kubelet asks for an hour by default.
    #[serde(default = "an_hour")]
    pub max_lifetime: HumanDuration,
    /// The container whose restart allows another key for its pod.
    #[serde(default = "our_container")]
    pub sidecar_container: String,
    /// Accepts a token without a proof of possession. A stolen token is then enough.
    #[serde(default)]
    pub allow_bearer_evidence: bool,
}

fn an_hour() -> HumanDuration {
    // The kubelet's tokens live for 3607 seconds where the API server extends the expiration.
    HumanDuration::from_secs(3610)
}

fn our_container() -> String {
    "symbolon-sidecar".to_owned()
}

/// Whether the cluster is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Live {
    /// Always; if it cannot be asked, nobody is attested (503).
    #[default]
    Required,
    /// If it can be asked; otherwise the signature counts alone, and the assurance is `signed`.
    Preferred,
    /// Never: the signature counts alone.
    Off,
}

/// The API server of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiConfig {
    /// That of the cluster that we run in, by our own service account.
    #[default]
    InCluster,
    /// Another one.
    #[serde(untagged)]
    At(ApiServer),
}

/// An API server that we do not run under.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiServer {
    /// Its URL, `https://…`.
    pub server: String,
    /// The certificate authority that it is checked against; no other is believed.
    pub ca_file: PathBuf,
    /// The bearer token that we are known by there, read again as it is rotated.
    pub token_file: PathBuf,
}

/// Where a cluster's keys come from.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterKeys {
    /// Its API server, at `/openid/v1/jwks`.
    #[default]
    Api,
    /// Its discovery document, for clusters with a public issuer.
    Discovery,
    /// The URL of its key set.
    JwksUri(String),
    /// A file with its key set.
    JwksFile(PathBuf),
    /// The key set itself.
    Jwks(Value),
}
