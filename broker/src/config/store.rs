//! The section `store`.
//! Not here: opening it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::{HumanDuration, Secret};

/// Where the broker remembers, and what seals its signing keys there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The database file; made if it is not there.
    pub sqlite: PathBuf,
    /// 32 random bytes in base64url or hexadecimal that seal the signing keys. Either this or `sealing_passphrase`.
    #[serde(default)]
    pub sealing_key: Option<Secret>,
    /// A passphrase of at least 16 characters that seals the signing keys.
    #[serde(default)]
    pub sealing_passphrase: Option<Secret>,
    /// How long decisions can be explained; the audit chain is kept.
    #[serde(default = "a_week")]
    pub keep_decisions: HumanDuration,
    /// The folder for the last good key sets of issuers; next to the database by default.
    #[serde(default)]
    pub issuer_keys: Option<PathBuf>,
}

fn a_week() -> HumanDuration {
    HumanDuration::from_secs(7 * 86_400)
}
