//! The public keys (RFC 7517 §5) with a validator, so that verifiers can ask cheaply.
//! Not here: private keys, or which keys there are.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::keys::SigningRing;

pub(super) async fn serve(State(ring): State<Arc<SigningRing>>, headers: HeaderMap) -> Response {
    let keys = ring.published();
    let common = [(ETAG, keys.tag.clone()), (CACHE_CONTROL, keys.cache_control.clone())];
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
