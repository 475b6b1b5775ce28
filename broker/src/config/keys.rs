//! The section `keys`.
//! Not here: checking it, or following it (`keys`).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_jws::Algorithm;

/// How signing keys come and go. A key is published before it signs, and stays until nobody needs it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeysConfig {
    /// How long a key signs before the next one takes over.
    pub rotate_every: HumanDuration,
    /// How long a key is published before it signs: at least the cache time of the slowest verifier.
    pub lead: HumanDuration,
    /// How long a key stays published after the last token that it signed has expired.
    pub retain: HumanDuration,
    /// Algorithms that keys are kept for although no resource uses them yet; ES256 always has one.
    pub algorithms: BTreeSet<SigningAlgorithm>,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            rotate_every: HumanDuration::from_secs(24 * 3600),
            lead: HumanDuration::from_secs(2 * 3600),
            retain: HumanDuration::from_secs(2 * 3600),
            algorithms: BTreeSet::new(),
        }
    }
}

/// An algorithm that tokens can be signed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// `EdDSA` with Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with 2048 bits, for verifiers that know nothing else.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with 2048 bits.
    #[serde(rename = "PS256")]
    Ps256,
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::Es256 => Self::Es256,
            SigningAlgorithm::EdDsa => Self::EdDsa,
            SigningAlgorithm::Rs256 => Self::Rs256,
            SigningAlgorithm::Ps256 => Self::Ps256,
        }
    }
}
