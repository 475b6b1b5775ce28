//! The route tables of the public listeners and of the admin socket.
//! Not here: health and metrics, which `symbolon-http` serves on the admin port.

mod decisions;
pub(crate) mod error;
mod jwks;
mod metadata;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use symbolon_identity::IssuerUrl;
use symbolon_wire::{paths, well_known_inserted};

pub(crate) use decisions::{Decisions, OwnDecisions};
pub(crate) use jwks::{PublishError, PublishedKeys};
pub(crate) use metadata::{Metadata, token_endpoint};
pub(crate) use token::TokenRoute;

/// What both public listeners serve, TCP and the attestation socket.
pub(crate) fn public(metadata: Arc<Metadata>, keys: Arc<PublishedKeys>, token: Arc<TokenRoute>) -> Router {
    let path = issuer_path(metadata.issuer());
    let mut documents = Router::new();
    for well_known in [paths::OPENID_CONFIGURATION, paths::AUTHORIZATION_SERVER_METADATA] {
        for place in places(well_known, &path) {
            documents = documents.route(&place, get(metadata::serve));
        }
    }
    documents
        .with_state(metadata)
        .route(&format!("{path}{}", paths::JWKS), get(jwks::serve).with_state(keys))
        .route(&format!("{path}{}", paths::TOKEN), post(token::serve).with_state(token))
}

/// What the admin socket serves beyond health and metrics.
pub(crate) fn admin(decisions: Arc<Decisions>) -> Router {
    Router::new()
        .route(paths::DECISIONS, get(decisions::recent))
        .route(&format!("{}/{{id}}", paths::DECISIONS), get(decisions::one))
        .with_state(decisions)
}

/// What the attestation socket serves beyond what is public.
pub(crate) fn own(decisions: Arc<OwnDecisions>) -> Router {
    Router::new().route(&format!("{}/{{id}}", paths::DECISIONS), get(decisions::own)).with_state(decisions)
}

/// The path of an issuer, without a slash at its end; empty for most.
fn issuer_path(issuer: &IssuerUrl) -> String {
    let after_host = issuer.as_str().splitn(4, '/').nth(3).unwrap_or_default().trim_end_matches('/');
    if after_host.is_empty() { String::new() } else { format!("/{after_host}") }
}

/// Appended, as `OpenID` Connect Discovery §4 has it, and inserted, as RFC 8414 §3.1 has it.
fn places(well_known: &str, issuer_path: &str) -> Vec<String> {
    let appended = format!("{issuer_path}{well_known}");
    let inserted = well_known_inserted(well_known, issuer_path);
    if appended == inserted { vec![appended] } else { vec![appended, inserted] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_an_issuer_with_a_path_stand_at_both_places() {
        let path = issuer_path(&IssuerUrl::parse("https://a.example/tenant/b/").unwrap());
        assert_eq!(path, "/tenant/b");
        assert_eq!(
            places(paths::OPENID_CONFIGURATION, &path),
            ["/tenant/b/.well-known/openid-configuration", "/.well-known/openid-configuration/tenant/b"]
        );
        assert_eq!(issuer_path(&IssuerUrl::parse("https://a.example").unwrap()), "");
        assert_eq!(places(paths::OPENID_CONFIGURATION, "").len(), 1);
    }
}
