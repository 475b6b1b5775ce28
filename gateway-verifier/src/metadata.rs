//! Protected resource metadata (RFC 9728): what a client needs to get a token for a route.
//! Not here: routing to it (`fronts/proxy.rs`).

use bytes::Bytes;
use serde::Serialize;
use symbolon_identity::{Audience, Scope, Scopes};
use symbolon_jws::Algorithm;
use symbolon_wire::{paths, well_known_inserted};

use crate::config::{IssuerConfig, Origin};
use crate::paths::PathPattern;

/// What a document describes.
#[derive(Debug)]
pub struct Described<'a> {
    /// The resource.
    pub resource: &'a Audience,
    /// Who issues tokens for it.
    pub issuers: &'a [&'a IssuerConfig],
    /// What a token needs at least.
    pub scopes: &'a Scopes,
    /// Whether only bound tokens are accepted.
    pub bound_only: bool,
}

/// RFC 9728 §2.
#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'static str; 1],
    dpop_signing_alg_values_supported: Vec<&'static str>,
    dpop_bound_access_tokens_required: bool,
}

/// The names of the algorithms that proofs may use.
#[must_use]
pub fn proof_algorithms() -> Vec<&'static str> {
    Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect()
}

/// Where the document of a route is: the well-known part before the route's own path (RFC 9728 §3.1).
#[must_use]
pub fn url(origin: &Origin, pattern: &PathPattern) -> String {
    let path = well_known_inserted(paths::PROTECTED_RESOURCE_METADATA, &pattern.literal_prefix());
    format!("{}{path}", origin.as_str())
}

/// The document.
#[must_use]
pub fn document(described: &Described<'_>) -> Bytes {
    let document = Document {
        resource: described.resource.as_str(),
        authorization_servers: described.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect(),
        scopes_supported: described.scopes.iter().map(Scope::as_str).collect(),
        bearer_methods_supported: ["header"],
        dpop_signing_alg_values_supported: proof_algorithms(),
        dpop_bound_access_tokens_required: described.bound_only,
    };
    // INVARIANT: texts and lists always become JSON.
    serde_json::to_vec(&document).unwrap_or_default().into()
}
