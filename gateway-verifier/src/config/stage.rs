//! A stage as it is written: a mapping with the stage's name as key, and an optional `when`.
//! Not here: what a stage means (`stages/`), and in which order stages make sense (`plan/stages.rs`).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_identity::{IssuerName, Scope};

/// One stage: exactly one of the stages' names, and when it applies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Verify the caller's token.
    #[serde(default)]
    pub verify: Option<VerifyConfig>,
    /// Ask policies whether the verified caller may make this request.
    #[serde(default)]
    pub authorize: Option<AuthorizeConfig>,
    /// A condition (CEL) over `request`, `route` and, after `verify`, `token`: the stage is skipped where it is false.
    #[serde(default, alias = "condition")]
    pub when: Option<String>,
}

/// Whose token a route wants, and what it must allow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyConfig {
    /// Names of `issuers:`, at least one.
    pub issuers: Vec<IssuerName>,
    /// Scopes that the token must have, all of them.
    #[serde(default)]
    pub scopes: Vec<Scope>,
}

/// Which policies are asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizeConfig {
    /// The folder with the `*.cedar` files, relative to the configuration file's own.
    pub policies: PathBuf,
}
