//! The `revocations:` of an issuer: whether and how its feed is followed.
//! Not here: following it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_evidence::SourceConfig;

/// How the revocation feed of an issuer is followed. The issuer has to be a Symbolon broker, and a policy of its must let
/// this gateway have a token for the resource `symbolon-status`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationsConfig {
    /// How this gateway shows the broker who it is.
    pub evidence: SourceConfig,
    /// The broker's attestation socket on this machine; all requests go over it. Needed for `unix` evidence.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// The only certificate authorities (PEM) that may vouch for the broker; without it, the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long nothing may be heard of the feed.
    #[serde(default = "a_minute")]
    pub max_stale: HumanDuration,
    /// What happens then.
    #[serde(default)]
    pub on_stale: OnStale,
}

/// What happens to requests while revocations are not known well enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    /// 503 `revocation_stale`.
    #[default]
    Refuse,
    /// They pass as far as is known.
    Accept,
}

fn a_minute() -> HumanDuration {
    HumanDuration::from_secs(60)
}
