//! The `key` section: the one key that every token of this sidecar is bound to.
//! The key itself never stands in the configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// The proof key that the tokens are bound to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyConfig {
    /// The algorithm of a key that is generated.
    pub algorithm: KeyAlgorithm,
    /// Keeps the key in this file (a private JWK, mode 0400), made at the first start. Without it the
    /// key lives in memory and dies with the process. In a pod, use a memory-backed `emptyDir` that no other container mounts:
    /// it may be open to all, the file is not.
    pub file: Option<PathBuf>,
}

/// Algorithms of proof keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}
