//! The section `clients`.
//! Not here: checking their assertions (`attest`).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use symbolon_config::HumanDuration;
use symbolon_identity::ClientId;

/// A client that authenticates with a key of its own (`private_key_jwt`, RFC 7523 §2.2). Its workload is
/// `spiffe://<trust domain>/client/<client_id>`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// Its id: letters, digits, `.`, `_`, `-`, and `/` between parts.
    pub client_id: ClientId,
    /// A file with its public keys.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Its public keys. Either this or `jwks_file`.
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Also accepts the token endpoint's URL as the audience, as older clients send it.
    #[serde(default)]
    pub legacy_audience: bool,
    /// How long its assertions may live, at most an hour: some libraries sign for an hour and cannot be told otherwise.
    #[serde(default = "ten_minutes")]
    pub max_assertion_lifetime: HumanDuration,
}

fn ten_minutes() -> HumanDuration {
    HumanDuration::from_secs(600)
}
