//! The `upstreams` section: one API each, with the token it wants and the door to it.
//! Which paths and methods are allowed is the matter of the API's gateway, not of this file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, Scopes, UpstreamName};
use url::Url;

use super::LocalListen;

/// An API that the app calls through us.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key that an operator reads alone")]
pub struct UpstreamConfig {
    /// Its name, in metrics and for the token endpoint.
    pub name: UpstreamName,
    /// Where the app calls it; without it, only the token endpoint hands out its token.
    #[serde(default)]
    pub listen: Option<LocalListen>,
    /// Where the requests go: scheme, host and port, nothing more. No other host ever sees the token.
    #[schemars(with = "String")]
    pub target: Url,
    /// The only certificate authorities (PEM) that may vouch for the target; without it, the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The target speaks HTTP/2, as gRPC needs: by ALPN with `https`, by prior knowledge with `http`.
    #[serde(default)]
    pub http2: bool,
    /// Allows `http` to a target that is not this machine. The token can then be read on the way.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// The resource that the token is for, as the broker names its audience.
    pub resource: Audience,
    /// The scopes to ask for; without it, the resource's default scopes.
    #[serde(default)]
    pub scope: Scopes,
    /// Accepts a token that is not bound to our key, for resources whose broker says `bearer_allowed`.
    #[serde(default)]
    pub allow_bearer: bool,
    /// What happens when the app sends a credential of its own.
    #[serde(default)]
    pub app_authorization: AppAuthorization,
    /// Further `Host` values (without port) that callers may use, beside the listener's and the target's.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// `/startupz` and `/readyz` do not pass before this upstream has its credential.
    #[serde(default)]
    pub required: bool,
    /// How long the target may take to begin its answer.
    #[serde(default = "timeout")]
    pub timeout: HumanDuration,
}

const fn timeout() -> HumanDuration {
    HumanDuration::from_secs(60)
}

/// What happens when the app sends `Authorization` or `DPoP` of its own. It is never merged and never forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppAuthorization {
    /// Ours takes its place.
    #[default]
    Replace,
    /// The request is refused.
    Refuse,
}
