//! The `limits` section: how much callers may have open at each listener.
//! Not rates: an app may call as often as it likes.

use schemars::JsonSchema;
use serde::Deserialize;

/// What callers may have open at each listener of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Connections at one time.
    pub connections: usize,
    /// Connections of one user at one time; absent: all of them, because a listener usually has one caller.
    pub connections_per_peer: Option<usize>,
    /// Requests at one time, whose answers have not ended; more are answered 503 `busy`.
    pub requests: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { connections: 4096, connections_per_peer: None, requests: 4096 }
    }
}

impl LimitsConfig {
    /// The most connections of one user.
    pub(crate) fn per_peer(&self) -> usize {
        self.connections_per_peer.unwrap_or(self.connections)
    }
}
