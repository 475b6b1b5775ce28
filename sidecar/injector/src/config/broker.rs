//! The `broker` and `evidence` sections: whom a sidecar asks, and by which token it is known.
//! The broker itself is never called from here.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, IssuerUrl, ProviderName};

/// The broker that the sidecars ask for tokens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// Its issuer URL, exactly as its own configuration says it, and reachable from the pods.
    pub url: IssuerUrl,
    /// The only certificate authorities (PEM) that may vouch for it. Their certificates travel into each pod with the
    /// patch. Without it, the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The projected service account token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvidenceConfig {
    /// Its audience; without it, the broker's URL.
    pub audience: Option<Audience>,
    /// How long it lives, 10 minutes to 1 hour; the kubelet renews it in time.
    pub expiration: HumanDuration,
    /// Which of the broker's trust providers is meant, if it has several of this cluster's issuer.
    pub provider: Option<ProviderName>,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self { audience: None, expiration: HumanDuration::from_secs(3600), provider: None }
    }
}
