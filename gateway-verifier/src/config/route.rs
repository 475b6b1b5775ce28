//! The `routes:` section as it is written.
//! Not here: what a route means (`plan.rs`).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, RouteName};

use super::StageConfig;

/// One route.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Its name, in metrics, audit and explanations.
    pub name: RouteName,
    /// Which requests are its own.
    #[serde(rename = "match")]
    pub matches: MatchConfig,
    /// What the token's `aud` must hold; required with `verify`.
    #[serde(default)]
    pub resource: Option<Audience>,
    /// Where admitted requests go.
    pub upstream: UpstreamConfig,
    /// What a request has to pass, in this order.
    #[serde(default)]
    pub stages: Vec<StageConfig>,
    /// Lets requests without any credential pass.
    #[serde(default)]
    pub public: bool,
    /// Hands the caller's credential on to the upstream.
    #[serde(default)]
    pub forward_credential: bool,
}

/// Which requests a route answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchConfig {
    /// Exact host names without port; absent: any host.
    #[serde(default)]
    pub hosts: Option<Vec<String>>,
    /// Literal segments, `*` for one segment, `/**` at the end for any rest.
    pub path: String,
    /// Exact methods; absent: any.
    #[serde(default)]
    pub methods: Option<Vec<String>>,
}

/// Where admitted requests go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Scheme, host and port: `http://127.0.0.1:9000`.
    pub url: String,
    /// PEM file with the authorities of an https upstream; default: the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long connecting may take; default 5 s.
    #[serde(default)]
    pub connect_timeout: Option<HumanDuration>,
    /// How long the upstream may take until its answer begins; default 60 s.
    #[serde(default)]
    pub response_timeout: Option<HumanDuration>,
    /// The most requests that it may have under way; more are answered 503 `busy`. Default 4096.
    #[serde(default)]
    pub max_requests: Option<usize>,
}
