//! The `upstreams` section: one API each, which pods choose by its name.
//! A pod cannot say where requests go or which token is asked for: only an operator can, here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, Scopes};
use url::Url;

/// An API that pods may call through their sidecar.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key that an operator reads alone")]
pub struct UpstreamConfig {
    /// The port on the pod's loopback where the app calls it. Each upstream has its own.
    pub port: u16,
    /// Where the requests go: scheme, host and port, nothing more.
    #[schemars(with = "String")]
    pub target: Url,
    /// The resource that the token is for, as the broker names its audience.
    pub resource: Audience,
    /// The scopes to ask for; without it, the resource's default scopes.
    #[serde(default)]
    pub scope: Scopes,
    /// The certificates in `broker.ca_file`, and no public ones, vouch for the target.
    #[serde(default)]
    pub private_ca: bool,
    /// The target speaks HTTP/2, as gRPC needs.
    #[serde(default)]
    pub http2: bool,
    /// Allows `http`. The token can then be read on the way.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// Accepts a token that is not bound to the sidecar's key.
    #[serde(default)]
    pub allow_bearer: bool,
    /// What happens when the app sends a credential of its own.
    #[serde(default)]
    pub app_authorization: AppAuthorization,
    /// The app's containers do not start before this upstream has its credential.
    #[serde(default)]
    pub required: bool,
    /// How long the target may take to begin its answer; without it, the sidecar's default.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
}

/// What happens when the app sends `Authorization` or `DPoP` of its own. It is never merged and never forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppAuthorization {
    /// The sidecar's takes its place.
    #[default]
    Replace,
    /// The request is refused.
    Refuse,
}
