//! A set of public keys, as issuers publish it (RFC 7517 §5).
//! Not here: fetching it (`symbolon-issuers`) and deciding whether its keys are trusted.

use serde_json::{Map, Value};

use crate::strict_json::{self, Limits, StrictJsonError};
use crate::{Algorithm, Jwk, JwkError, VerifyingKey, jwk};

/// The keys of a set that can be used, and those that were passed over.
#[derive(Debug, Clone, Default)]
pub struct JwkSet {
    keys: Vec<VerifyingKey>,
    skipped: Vec<SkippedKey>,
}

/// A key that was passed over, and why. One strange key must not take the good ones down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// The beginning of its `kid`, escaped.
    pub key_id: Option<String>,
    /// Why it was passed over.
    pub reason: JwkError,
}

/// Why a whole set was refused; the caller keeps the last good one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkSetError {
    /// The document is larger than [`JwkSet::MAX_BYTES`].
    #[error("the key set is {length} bytes long, the limit is {}", JwkSet::MAX_BYTES)]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// There are more keys than [`JwkSet::MAX_KEYS`].
    #[error("the key set has {count} keys, the limit is {}", JwkSet::MAX_KEYS)]
    TooManyKeys {
        /// Their number.
        count: usize,
    },
    /// The document is not strict JSON.
    #[error("the key set is refused: {0}")]
    Json(#[source] StrictJsonError),
    /// The document has no array `keys` of objects.
    #[error("the key set has no array `keys` of objects")]
    NoKeys,
    /// A key has a private or secret member: the issuer has leaked it, which somebody must be told.
    #[error("key {index} of the set has a private member")]
    PrivateMember {
        /// Its position, counted from zero.
        index: usize,
    },
    /// Two usable keys have one `kid`, so a token could not say which one signed it.
    #[error("two keys of the set have the id `{key_id}`")]
    DuplicateKeyId {
        /// The beginning of the `kid`, escaped.
        key_id: String,
    },
}

impl JwkSet {
    /// The largest set that is read.
    pub const MAX_BYTES: usize = 262_144;
    /// The most keys in a set.
    pub const MAX_KEYS: usize = 100;

    /// Parses a set; unusable keys are passed over, dangerous sets refused.
    ///
    /// An RSA key without `alg` becomes one key for each RSA algorithm; the issuer's own list of algorithms
    /// says which of them are looked for.
    ///
    /// # Errors
    /// [`JwkSetError`] if the set is too large, not strict JSON, holds a private member or two usable keys of one `kid`.
    pub fn parse(json: &[u8]) -> Result<Self, JwkSetError> {
        if json.len() > Self::MAX_BYTES {
            return Err(JwkSetError::TooLarge { length: json.len() });
        }
        let document: Map<String, Value> =
            strict_json::from_slice_within(json, Limits::KEY_SET).map_err(JwkSetError::Json)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(JwkSetError::NoKeys)?;
        if keys.len() > Self::MAX_KEYS {
            return Err(JwkSetError::TooManyKeys { count: keys.len() });
        }
        let mut set = Self::default();
        for (index, key) in keys.iter().enumerate() {
            let members = key.as_object().ok_or(JwkSetError::NoKeys)?;
            if jwk::is_private(members) {
                return Err(JwkSetError::PrivateMember { index });
            }
            set.add(members)?;
        }
        Ok(set)
    }

    fn add(&mut self, members: &Map<String, Value>) -> Result<(), JwkSetError> {
        let usable = Jwk::from_members(members).and_then(|jwk| verifying_keys(&jwk));
        let key_id = members.get("kid").and_then(Value::as_str);
        match usable {
            Err(reason) => self.skipped.push(SkippedKey { key_id: key_id.map(crate::error::shown), reason }),
            Ok(keys) => {
                if let Some(key_id) = key_id
                    && self.keys.iter().any(|key| key.key_id() == Some(key_id))
                {
                    return Err(JwkSetError::DuplicateKeyId { key_id: crate::error::shown(key_id) });
                }
                self.keys.extend(keys);
            }
        }
        Ok(())
    }

    /// The usable keys; an RSA key without `alg` stands once for each RSA algorithm.
    #[must_use]
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The keys that were passed over.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The key for a token that names this `kid` and algorithm.
    ///
    /// A token without `kid` gets a key only if exactly one of the set is for its algorithm.
    #[must_use]
    pub fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<&VerifyingKey> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.algorithm() == algorithm && key_id.is_none_or(|key_id| key.key_id() == Some(key_id))
        });
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }

    /// Whether a key with this `kid` is in the set, whatever its algorithm.
    #[must_use]
    pub fn contains(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.key_id() == Some(key_id))
    }
}

fn verifying_keys(jwk: &Jwk) -> Result<Vec<VerifyingKey>, JwkError> {
    match jwk.algorithm() {
        Some(algorithm) => Ok(vec![VerifyingKey::from_jwk_as(jwk, algorithm)?]),
        None => {
            Algorithm::RSA.into_iter().map(|algorithm| VerifyingKey::from_jwk_as(jwk, algorithm)).collect()
        }
    }
}

#[cfg(test)]
mod tests;
