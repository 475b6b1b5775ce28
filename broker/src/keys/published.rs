//! The public keys as verifiers fetch them (RFC 7517 §5), written once a change.
//! Not here: serving them (`routes::jwks`).

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;
use symbolon_jws::{Jwk, base64url, sha256};

use super::KeyError;

/// The key set with its validator.
#[derive(Debug)]
pub(crate) struct PublishedKeys {
    /// The document.
    pub(crate) body: Bytes,
    /// Its entity tag.
    pub(crate) tag: HeaderValue,
    /// How long a verifier may keep it.
    pub(crate) cache_control: HeaderValue,
}

impl PublishedKeys {
    /// The document of these keys.
    pub(super) fn of(keys: &[&Jwk], max_age: Duration) -> Result<Self, KeyError> {
        #[derive(Serialize)]
        struct Set<'a> {
            keys: &'a [&'a Jwk],
        }
        let body = serde_json::to_vec(&Set { keys }).map_err(|_| KeyError::Unwritable)?;
        let value = |text: String| HeaderValue::try_from(text).map_err(|_| KeyError::Unwritable);
        Ok(Self {
            tag: value(format!("\"{}\"", base64url::encode(sha256(&body))))?,
            cache_control: value(format!("public, max-age={}", max_age.as_secs()))?,
            body: body.into(),
        })
    }
}
