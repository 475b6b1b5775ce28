//! The section `outbound`.
//! Not here: making requests.

use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where we may go to fetch issuers' keys: public addresses, and what stands here.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundConfig {
    /// Trust only the certificates in this PEM file, instead of the bundled web roots.
    pub ca_file: Option<PathBuf>,
    /// Further networks, such as `10.0.0.0/8`. Loopback is allowed if a provider says `dev: true`.
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
}
