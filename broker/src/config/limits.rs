//! The section `limits`.
//! Not here: enforcing them.

use schemars::JsonSchema;
use serde::Deserialize;

/// What one caller, and all of them together, may ask of the token endpoint.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests a second from one source (IPv4 address, IPv6 /64, or uid on the Unix socket).
    pub requests_per_second: u32,
    /// Requests that one source may send at once before that rate counts.
    pub burst: u32,
    /// Token requests under way at the same time on each listener; one source may have an eighth of them. Twice as
    /// many bodies may be on their way.
    pub concurrent_requests: u32,
    /// Connections open at the same time.
    pub connections: u32,
    /// Targets that one token may be for; a request for more is refused as a whole.
    pub targets: u32,
    /// Tokens that one workload may give back (RFC 7009) in one hour; every verifier has to keep each of them.
    pub given_back_per_hour: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            requests_per_second: 200,
            burst: 400,
            concurrent_requests: 512,
            connections: 4096,
            targets: 1,
            given_back_per_hour: 1000,
        }
    }
}
