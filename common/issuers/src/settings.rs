//! What an issuer is trusted for, as configuration finishes it.
//! Not here: reading configuration files; each program has its own section for that.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use symbolon_identity::{Audience, IssuerName, IssuerUrl};
use symbolon_jws::Algorithm;
use symbolon_token::TokenType;

/// An issuer with all that it owns: nothing of it can be lent to another issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// The name that configuration refers to.
    pub name: IssuerName,
    /// The exact `iss` of its tokens.
    pub issuer: IssuerUrl,
    /// The most that anybody may ask for: at least one audience.
    pub audiences: BTreeSet<Audience>,
    /// The algorithms that it may use; none = what its keys say.
    pub algorithms: Option<Vec<Algorithm>>,
    /// The token types that it may issue: at least one.
    pub token_types: Vec<TokenType>,
    /// The longest accepted life of a token, from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Allows plain http to this machine, for development only.
    pub dev: bool,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Its discovery document (OpenID Connect Discovery §4, else RFC 8414 §3) names the key set.
    Discovery,
    /// The URL of its key set.
    JwksUri(String),
    /// A local file with its key set, read again at each refresh.
    JwksFile(PathBuf),
    /// Its key set itself, as JSON.
    Inline(String),
}

/// How keys are fetched and kept; the defaults are the documented ones.
#[derive(Debug, Clone)]
pub struct KeyPolicy {
    /// How long a fetched set serves before it is fetched again, unless `Cache-Control` says otherwise.
    pub refresh: Duration,
    /// The least time between two fetches of one issuer, whatever callers send.
    pub min_interval: Duration,
    /// How long a set serves while its issuer is down, counted from its fetch, also across restarts.
    pub max_stale: Duration,
    /// Where the last good sets are kept; none = only in memory.
    pub directory: Option<PathBuf>,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            refresh: Duration::from_mins(5),
            min_interval: Duration::from_secs(10),
            max_stale: Duration::from_hours(24),
            directory: None,
        }
    }
}
