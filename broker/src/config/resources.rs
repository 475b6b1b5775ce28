//! The section `resources`.
//! Not here: who may have a token for them; policies say that.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, GroupName, ResourceName, Scope};

use super::SigningAlgorithm;

/// Something that tokens are issued for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceConfig {
    /// Its name, as policies see it.
    pub name: ResourceName,
    /// The `aud` of its tokens, and how callers ask for it.
    pub audience: Audience,
    /// The scopes that it offers.
    #[serde(default)]
    pub scopes: BTreeSet<Scope>,
    /// The scopes of a request that names none.
    #[serde(default)]
    pub default_scopes: BTreeSet<Scope>,
    /// The groups of resources it belongs to, for policies.
    #[serde(default)]
    pub groups: BTreeSet<GroupName>,
    /// Whether its tokens are bound to the caller's key.
    #[serde(default)]
    pub binding: Binding,
    /// What an exchange makes for it: a token in which the caller stays visible as actor, or one in which it does not.
    #[serde(default)]
    pub exchange: ExchangeMode,
    /// Further claims of its tokens: name to expression (CEL) over `workload` and `attested`.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// The longest life of its tokens.
    #[serde(default = "five_minutes")]
    pub token_ttl: HumanDuration,
    /// What its tokens are signed with. Before changing it, list the new one in `keys.algorithms` for a while.
    #[serde(default)]
    pub algorithm: SigningAlgorithm,
}

fn five_minutes() -> HumanDuration {
    HumanDuration::from_secs(300)
}

/// What an exchange makes; policy has to permit it in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeMode {
    /// The caller becomes the newest actor of the token (action `exchange`).
    #[default]
    Delegate,
    /// The caller does not appear in the token (action `impersonate`).
    Impersonate,
}

/// How the tokens of a resource are bound; the caller cannot choose less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// To the key of a DPoP proof (RFC 9449), always.
    #[default]
    Dpop,
    /// To the key of a DPoP proof if there is one; otherwise to nothing.
    BearerAllowed,
}
