//! What an issuer is trusted for, as configuration finishes it.
//! Not here: reading configuration files; each program has its own section for that.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
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
    /// Whoever can get it in a way of their own.
    Custom(CustomKeys),
}

/// A way of one's own to a key set, such as the API server of a cluster, which has to be asked with credentials.
#[derive(Debug, Clone)]
pub struct CustomKeys(pub Arc<dyn FetchKeys>);

impl PartialEq for CustomKeys {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CustomKeys {}

/// The answer of a way of one's own: the key set as JSON, or why there is none.
pub type KeysFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// Gets a key set.
pub trait FetchKeys: Debug + Send + Sync {
    /// What the keys are tied to; a copy of them from another place is not used.
    fn place(&self) -> String;

    /// Fetches them. It is called at most once at a time, and bounds its own time.
    fn fetch(&self) -> KeysFuture<'_>;
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
