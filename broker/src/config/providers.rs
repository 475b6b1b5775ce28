//! The section `trust_providers`.
//! Not here: checking evidence (`attest`).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, IssuerUrl, ProviderName};
use symbolon_issuers::KeySource;
use symbolon_jws::Algorithm;

use super::KubernetesConfig;

/// One trust provider: what it checks, and what a checked workload is called.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its name, as policies and groups see it.
    pub name: ProviderName,
    /// The peer of the Unix socket, by the kernel's word.
    #[serde(default)]
    pub unix: Option<UnixConfig>,
    /// A JWT of an issuer.
    #[serde(default)]
    pub oidc: Option<OidcConfig>,
    /// A bound service account token of a Kubernetes cluster.
    #[serde(default)]
    pub kubernetes: Option<KubernetesConfig>,
    /// The path of the workload's SPIFFE ID: a CEL text over `attested`, beginning with a literal of its own, such as
    /// `"unix/uid/" + string(attested.uid)`.
    pub workload: String,
}

/// Settings of a `unix` provider: there are none yet.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnixConfig {}

/// Settings of an `oidc` provider.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The exact `iss` of its tokens.
    pub issuer: IssuerUrl,
    /// Where its keys come from.
    #[serde(default)]
    pub keys: OidcKeys,
    /// The one audience that its tokens must have; our issuer by default.
    #[serde(default)]
    pub audience: Option<Audience>,
    /// The algorithms that it may use; by default what its keys say.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// The longest accepted life of a token, from `iat` to `exp`.
    #[serde(default = "an_hour")]
    pub max_lifetime: HumanDuration,
    /// Whether a token is good for one presentation, or belongs to the key that presented it first.
    #[serde(default)]
    pub replay: Replay,
    /// Accepts `key_bound` evidence without a proof of possession. A stolen token is then enough.
    #[serde(default)]
    pub allow_bearer_evidence: bool,
    /// Allows plain http to this machine, for development only.
    #[serde(default)]
    pub dev: bool,
}

fn an_hour() -> HumanDuration {
    HumanDuration::from_secs(3600)
}

/// How evidence is kept from being used twice by two parties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// Consumed by its first presentation.
    #[default]
    OneShot,
    /// Reusable until it expires, by the key that presented it first.
    KeyBound,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OidcKeys {
    /// Its discovery document.
    #[default]
    Discovery,
    /// The URL of its key set.
    JwksUri(String),
    /// A file with its key set.
    JwksFile(PathBuf),
    /// The key set itself.
    Jwks(Value),
}

impl OidcKeys {
    pub(crate) fn source(&self) -> KeySource {
        match self {
            Self::Discovery => KeySource::Discovery,
            Self::JwksUri(url) => KeySource::JwksUri(url.clone()),
            Self::JwksFile(path) => KeySource::JwksFile(path.clone()),
            Self::Jwks(keys) => KeySource::Inline(keys.to_string()),
        }
    }
}
