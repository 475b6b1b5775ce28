//! The public keys (RFC 7517 §5) with a validator, so that verifiers can ask cheaply.
//! Not here: private keys.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use symbolon_jws::{Jwk, base64url, sha256};

use crate::keys::SigningRing;

/// The key set, written once.
#[derive(Debug)]
pub(crate) struct PublishedKeys {
    body: Bytes,
    tag: HeaderValue,
}

/// Why the keys cannot be published: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("the public keys cannot be written")]
pub(crate) struct PublishError;

impl PublishedKeys {
    /// The set of a ring.
    ///
    /// # Errors
    /// [`PublishError`] if it has no JSON form.
    pub(crate) fn of(ring: &SigningRing) -> Result<Self, PublishError> {
        #[derive(Serialize)]
        struct Set<'a> {
            keys: Vec<&'a Jwk>,
        }
        let body = serde_json::to_vec(&Set { keys: ring.published().collect() }).map_err(|_| PublishError)?;
        let tag = format!("\"{}\"", base64url::encode(sha256(&body)));
        Ok(Self { tag: HeaderValue::try_from(tag).map_err(|_| PublishError)?, body: body.into() })
    }
}

pub(super) async fn serve(State(keys): State<Arc<PublishedKeys>>, headers: HeaderMap) -> Response {
    let common = [(ETAG, keys.tag.clone()), (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];
    if headers.get_all(IF_NONE_MATCH).iter().any(|tags| names(tags, &keys.tag)) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = [(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"))];
    (common, kind, keys.body.clone()).into_response()
}

/// RFC 9110 §13.1.2: a list of tags, compared weakly, or `*`.
fn names(tags: &HeaderValue, ours: &HeaderValue) -> bool {
    let (Ok(tags), Ok(ours)) = (tags.to_str(), ours.to_str()) else { return false };
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == ours)
}
