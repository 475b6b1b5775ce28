//! The route tables of the public listeners and of the admin socket.
//! Not here: health and metrics, which `symbolon-http` serves on the admin port.

mod decisions;
pub(crate) mod door;
pub(crate) mod error;
mod evidence;
mod inspect;
mod jwks;
mod keys;
mod metadata;
mod operators;
mod revocations;
mod status;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use symbolon_identity::IssuerUrl;
use symbolon_wire::{paths, well_known_inserted};

use crate::keys::SigningRing;

pub(crate) use decisions::{Decisions, OwnDecisions};
pub(crate) use evidence::EvidenceRoute;
pub(crate) use inspect::InspectRoutes;
pub(crate) use keys::KeysRoute;
pub(crate) use metadata::{Metadata, token_endpoint};
pub(crate) use operators::Operators;
pub(crate) use revocations::RevocationRoutes;
pub(crate) use status::{StatusParts, StatusRoute};
pub(crate) use token::TokenRoute;

/// What the routes of the public listeners need.
#[derive(Debug, Clone)]
pub(crate) struct Public {
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) keys: Arc<SigningRing>,
    pub(crate) token: Arc<TokenRoute>,
    pub(crate) inspect: Arc<InspectRoutes>,
    pub(crate) status: Arc<StatusRoute>,
}

/// What both public listeners serve, TCP and the attestation socket.
pub(crate) fn public(public: Public) -> Router {
    let Public { metadata, keys, token, inspect, status } = public;
    let path = issuer_path(metadata.issuer());
    let inspections = Router::new()
        .route(
            &format!("{path}{}", paths::INTROSPECT),
            post(inspect::introspect).fallback(door::method_not_allowed),
        )
        .route(&format!("{path}{}", paths::REVOKE), post(inspect::revoke).fallback(door::method_not_allowed))
        .with_state(inspect);
    let mut documents = Router::new();
    for well_known in [paths::OPENID_CONFIGURATION, paths::AUTHORIZATION_SERVER_METADATA] {
        for place in places(well_known, &path) {
            documents = documents.route(&place, get(metadata::serve));
        }
    }
    documents
        .with_state(metadata)
        .route(&format!("{path}{}", paths::JWKS), get(jwks::serve).with_state(keys))
        .route(
            &format!("{path}{}", paths::TOKEN),
            post(token::serve).fallback(door::method_not_allowed).with_state(token),
        )
        .route(&format!("{path}{}", paths::STATUS), get(status::serve).with_state(status))
        .merge(inspections)
}

/// What the admin socket serves beyond health and metrics.
pub(crate) fn admin(
    decisions: Arc<Decisions>,
    revocations: Arc<RevocationRoutes>,
    keys: Arc<KeysRoute>,
    evidence: Arc<EvidenceRoute>,
) -> Router {
    let under_keys = |rest: &str| format!("{}{rest}", paths::KEYS);
    let decided = Router::new()
        .route(paths::DECISIONS, get(decisions::recent))
        .route(&format!("{}/{{id}}", paths::DECISIONS), get(decisions::one))
        .with_state(decisions);
    Router::new()
        .route(paths::KEYS, get(keys::list))
        .route(&under_keys("/rotate"), post(keys::rotate))
        .route(&under_keys("/{kid}/retire"), post(keys::retire))
        .route(&under_keys("/{kid}/revoke"), post(keys::revoke))
        .with_state(keys)
        .route(paths::EVIDENCE, post(evidence::appraise).with_state(evidence))
        .route(paths::REVOCATIONS, get(revocations::list).post(revocations::order).with_state(revocations))
        .merge(decided)
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
