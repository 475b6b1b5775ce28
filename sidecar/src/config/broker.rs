//! The `broker` section: where tokens come from and how the broker is known to be the right one.
//! It does not say who we are; that is the `evidence` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_identity::IssuerUrl;

/// The broker that issues our tokens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// The broker's issuer URL, exactly as its own configuration says it. The token endpoint is
    /// `<url>/oauth2/token`; proofs name it also when the request goes over the socket.
    pub url: IssuerUrl,
    /// Its attestation socket on this machine; all requests go over it. Needed for `unix` evidence.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// The only certificate authorities (PEM) that may vouch for the broker; without it, the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    #[serde(default = "timeout")]
    pub timeout: HumanDuration,
}

const fn timeout() -> HumanDuration {
    HumanDuration::from_secs(5)
}
