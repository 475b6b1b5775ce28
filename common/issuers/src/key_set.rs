//! One key set of one issuer, with the time of its fetch.
//! Not here: getting it.

use std::collections::HashSet;
use std::time::Duration;

use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, JwkSet, Thumbprint, VerifyingKey};

use crate::FetchError;

/// Keys that an issuer may use, parsed once.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: JwkSet,
    usable: HashSet<Thumbprint>,
    algorithms: Option<Vec<Algorithm>>,
    fetched_at: Option<Timestamp>,
}

impl KeySet {
    /// Parses a set; `fetched_at` is none for keys of the configuration, which do not age.
    ///
    /// A set without a usable key is refused, so that garbage never replaces a good set.
    pub(crate) fn parse(
        json: &[u8],
        algorithms: Option<&[Algorithm]>,
        fetched_at: Option<Timestamp>,
    ) -> Result<Self, FetchError> {
        let keys = JwkSet::parse(json)?;
        let allowed =
            |key: &&VerifyingKey| algorithms.is_none_or(|allowed| allowed.contains(&key.algorithm()));
        let usable: HashSet<_> = keys.keys().iter().filter(allowed).map(VerifyingKey::thumbprint).collect();
        if usable.is_empty() {
            return Err(FetchError::NoUsableKey);
        }
        Ok(Self { keys, usable, algorithms: algorithms.map(<[_]>::to_vec), fetched_at })
    }

    /// Whether the set is young enough to be used.
    pub(crate) fn is_fresh(&self, now: Timestamp, max_stale: Duration) -> bool {
        self.fetched_at.is_none_or(|fetched_at| now.saturating_since(fetched_at) <= max_stale)
    }

    pub(crate) fn fetched_at(&self) -> Option<Timestamp> {
        self.fetched_at
    }

    pub(crate) fn thumbprints(&self) -> &HashSet<Thumbprint> {
        &self.usable
    }

    /// Finds the key that a token names.
    pub(crate) fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        if self.algorithms.as_ref().is_some_and(|allowed| !allowed.contains(&algorithm)) {
            return Found::OtherAlgorithm;
        }
        match (self.keys.find(key_id, algorithm), key_id) {
            (Some(key), _) => Found::Key(key),
            (None, Some(key_id)) if self.keys.contains(key_id) => Found::OtherAlgorithm,
            (None, _) => Found::Nothing,
        }
    }
}

/// What a set says about a token's `kid` and `alg`.
pub(crate) enum Found<'a> {
    /// This key.
    Key(&'a VerifyingKey),
    /// The key is there, but is of another algorithm, or the algorithm is not allowed.
    OtherAlgorithm,
    /// There is no such key.
    Nothing,
}
