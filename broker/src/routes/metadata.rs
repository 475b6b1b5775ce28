//! The discovery documents (RFC 8414 §2, which `OpenID` Connect Discovery §3 shares).
//! Not here: where they stand; the route table knows both path forms.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use symbolon_identity::{IssuerUrl, Scopes};
use symbolon_jws::Algorithm;
use symbolon_wire::{ServerMetadata, grant_type, paths};

/// What we say about ourselves.
#[derive(Debug)]
pub(crate) struct Metadata {
    document: ServerMetadata,
}

impl Metadata {
    /// The document of this issuer.
    pub(crate) fn new(issuer: &IssuerUrl, scopes: &Scopes, signing: &BTreeSet<Algorithm>) -> Self {
        let algorithms: Vec<String> = Algorithm::ALL.iter().map(ToString::to_string).collect();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let document = ServerMetadata {
            issuer: issuer.clone(),
            jwks_uri: issuer.join(paths::JWKS),
            token_endpoint: Some(token_endpoint(issuer)),
            introspection_endpoint: Some(issuer.join(paths::INTROSPECT)),
            revocation_endpoint: Some(issuer.join(paths::REVOKE)),
            // As the Kubernetes API server publishes them: required by the document, without an endpoint to use them.
            response_types_supported: words(&["id_token"]),
            subject_types_supported: words(&["public"]),
            id_token_signing_alg_values_supported: signing.iter().map(ToString::to_string).collect(),
            grant_types_supported: words(&[grant_type::CLIENT_CREDENTIALS, grant_type::TOKEN_EXCHANGE]),
            token_endpoint_auth_methods_supported: words(&["private_key_jwt"]),
            token_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
            introspection_endpoint_auth_methods_supported: words(&["private_key_jwt"]),
            introspection_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
            revocation_endpoint_auth_methods_supported: words(&["private_key_jwt"]),
            revocation_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
            dpop_signing_alg_values_supported: algorithms,
            scopes_supported: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        };
        Self { document }
    }

    /// The issuer.
    pub(crate) fn issuer(&self) -> &IssuerUrl {
        &self.document.issuer
    }
}

/// The advertised URL of the token endpoint.
pub(crate) fn token_endpoint(issuer: &IssuerUrl) -> String {
    issuer.join(paths::TOKEN)
}

pub(super) async fn serve(State(metadata): State<Arc<Metadata>>) -> Response {
    let mut response = Json(&metadata.document).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
