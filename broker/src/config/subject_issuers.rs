//! The section `subject_issuers`.
//! Not here: checking their tokens (`subject`).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, IssuerName, IssuerUrl};
use symbolon_jws::Algorithm;
use symbolon_token::TokenType;

use super::{IntrospectionConfig, OidcKeys};

/// An issuer whose tokens may be exchanged for ours. Its subjects become `<name>:<sub>`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectIssuerConfig {
    /// Its name, and the namespace of its subjects.
    pub name: IssuerName,
    /// The exact `iss` of its tokens.
    pub issuer: IssuerUrl,
    /// Where its keys come from.
    #[serde(default)]
    pub keys: OidcKeys,
    /// Audiences that mean us; our issuer by default. Tokens for one of our resources may be exchanged by who operates it.
    #[serde(default)]
    pub audiences: BTreeSet<Audience>,
    /// The `typ` of its access tokens: `at+jwt` by default, `JWT` for issuers that do not tell theirs apart.
    #[serde(default = "access_tokens")]
    #[schemars(with = "String")]
    pub access_token_type: TokenTypeName,
    /// Also takes its ID tokens.
    #[serde(default)]
    pub id_tokens: bool,
    /// The algorithms that it may use; by default what its keys say.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// The longest accepted life of a token, from `iat` to `exp`.
    #[serde(default = "an_hour")]
    pub max_lifetime: HumanDuration,
    /// A CEL condition over `subject` and `claims` that a token has to meet.
    #[serde(default)]
    pub condition: Option<String>,
    /// What policies see as `context.subject` tags: each a CEL text over `subject` and `claims`.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// Asks it about its tokens, and can so take opaque ones.
    #[serde(default)]
    pub introspection: Option<IntrospectionConfig>,
    /// Allows plain http to this machine, for development only.
    #[serde(default)]
    pub dev: bool,
}

/// A token type by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTypeName(pub TokenType);

impl<'de> Deserialize<'de> for TokenTypeName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

fn access_tokens() -> TokenTypeName {
    TokenTypeName(TokenType::AccessToken)
}

fn an_hour() -> HumanDuration {
    HumanDuration::from_secs(3600)
}
