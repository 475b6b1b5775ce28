//! The `streams:` part of a route as it is written.
//! Not here: open streams (`streams.rs` beside `config.rs`).

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_http::tunnel::DEFAULT_IDLE;

use super::Origin;

/// How WebSockets and other long exchanges of a route are kept. Each ends with its caller's token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StreamsConfig {
    /// How long an open stream may outlast its caller's token; default none.
    pub grace: HumanDuration,
    /// The longest silence of a WebSocket in both directions, or of a verified caller within a request's body.
    pub idle_timeout: HumanDuration,
    /// Web pages that may open a WebSocket here, beside those of our own `origins`. Programs that send no `Origin` always
    /// may.
    pub origins: Vec<Origin>,
    /// Whether an open stream may go on with another token of the same caller; default yes.
    pub renewal: bool,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self {
            grace: HumanDuration::from_secs(0),
            idle_timeout: HumanDuration::from_secs(DEFAULT_IDLE.as_secs()),
            origins: Vec::new(),
            renewal: true,
        }
    }
}
