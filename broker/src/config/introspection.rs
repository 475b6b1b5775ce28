//! The section `introspection` of a subject issuer.
//! Not here: asking (`subject`).

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::Secret;
use symbolon_identity::ClientId;

/// Asks this issuer about its access tokens (RFC 7662): what opaque ones stand for, and whether JWTs still count.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionConfig {
    /// How this issuer's opaque tokens begin. A token goes to no other issuer, since whoever gets it can use it. Empty
    /// for an issuer whose tokens cannot be told: then it has to be the only one that is asked, and gets everything
    /// that is no JWT. Without it no opaque tokens are taken.
    #[serde(default)]
    pub token_prefix: Option<String>,
    /// Also asks about its JWTs, once they verify by its keys: what it has revoked then buys nothing more.
    #[serde(default)]
    pub jwts: bool,
    /// The introspection endpoint; by default the one that the issuer's discovery document names.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Our client id there.
    pub client_id: ClientId,
    /// How we authenticate there.
    #[serde(default)]
    pub authentication: ClientAuthentication,
    /// The most questions in one second, of all callers together.
    #[serde(default = "questions_a_second")]
    pub requests_per_second: u32,
    /// The most questions at one time.
    #[serde(default = "questions_at_once")]
    pub concurrent_requests: u32,
    /// So many tokens that turn out to be inactive may one workload present in a minute.
    #[serde(default = "wrong_guesses")]
    pub inactive_per_minute: u32,
}

/// How we authenticate at an introspection endpoint.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// With an assertion of our own ES256 key: register our key set there (RFC 7523).
    #[default]
    PrivateKeyJwt,
    /// With a shared secret, as `${file:…}` or `${env:…}`, sent by HTTP Basic.
    ClientSecret(Secret),
}

fn questions_a_second() -> u32 {
    20
}

fn questions_at_once() -> u32 {
    8
}

fn wrong_guesses() -> u32 {
    10
}
