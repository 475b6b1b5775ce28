//! `WWW-Authenticate`: which schemes a route accepts and what was wrong.
//! Not here: which reason means which error (`rejection.rs`).

use http::HeaderValue;
use symbolon_identity::{ReasonCode, Scopes};

use crate::rejection::ChallengeError;

/// What a route tells a caller without a good token, made at load.
#[derive(Debug, Clone)]
pub struct Challenge {
    dpop: String,
    bearer: Option<String>,
    scope: String,
}

impl Challenge {
    /// The challenge of a route: `DPoP` always, `Bearer` only where unbound tokens are accepted.
    #[must_use]
    pub fn new(
        proof_algorithms: &str,
        accepts_bearer: bool,
        scopes: &Scopes,
        metadata_url: Option<&str>,
    ) -> Self {
        let metadata = metadata_url.map(|url| format!("resource_metadata=\"{url}\""));
        let dpop = format!("DPoP algs=\"{proof_algorithms}\"");
        Self {
            dpop: metadata.as_ref().map_or_else(|| dpop.clone(), |metadata| format!("{dpop}, {metadata}")),
            bearer: accepts_bearer.then(|| {
                metadata.as_ref().map_or_else(|| "Bearer".to_owned(), |metadata| format!("Bearer {metadata}"))
            }),
            scope: scopes.as_str().to_owned(),
        }
    }

    /// One value for each accepted scheme, the error on each scheme that knows it (RFC 6750 §3, RFC 9449 §7.1).
    pub fn values(&self, error: ChallengeError, code: ReasonCode) -> impl Iterator<Item = HeaderValue> {
        let attributes = self.attributes(error, code);
        let dpop = Some(join(&self.dpop, &attributes));
        let bearer = self.bearer.as_ref().map(|bearer| {
            if error.is_about_the_proof() { bearer.clone() } else { join(bearer, &attributes) }
        });
        dpop.into_iter().chain(bearer).filter_map(|value| HeaderValue::try_from(value).ok())
    }

    /// The description starts with the stable code and holds nothing that the caller sent.
    fn attributes(&self, error: ChallengeError, code: ReasonCode) -> String {
        let Some(word) = error.as_str() else { return String::new() };
        let advice = code.advice();
        let scope = match error {
            ChallengeError::InsufficientScope => format!(", scope=\"{}\"", self.scope),
            ChallengeError::None
            | ChallengeError::InvalidRequest
            | ChallengeError::InvalidToken
            | ChallengeError::InvalidDpopProof
            | ChallengeError::UseDpopNonce => String::new(),
        };
        format!("error=\"{word}\", error_description=\"{code}: {advice}\"{scope}")
    }
}

/// RFC 9110 §11.6.1: the first parameter follows the scheme after a space, the others after a comma.
fn join(scheme: &str, attributes: &str) -> String {
    match (attributes.is_empty(), scheme.contains(' ')) {
        (true, _) => scheme.to_owned(),
        (false, true) => format!("{scheme}, {attributes}"),
        (false, false) => format!("{scheme} {attributes}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bearer: bool, error: ChallengeError, code: ReasonCode) -> Vec<String> {
        let scopes = Scopes::parse("orders:read").unwrap();
        let challenge = Challenge::new("ES256", bearer, &scopes, None);
        challenge.values(error, code).map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn nothing_presented_is_a_challenge_without_an_error() {
        let found = values(true, ChallengeError::None, ReasonCode::TokenMissing);
        assert_eq!(found, ["DPoP algs=\"ES256\"", "Bearer"]);
        assert_eq!(values(false, ChallengeError::None, ReasonCode::TokenMissing), ["DPoP algs=\"ES256\""]);
    }

    #[test]
    fn the_description_starts_with_the_code() {
        let found = values(true, ChallengeError::InvalidToken, ReasonCode::Expired);
        assert_eq!(
            found,
            [
                "DPoP algs=\"ES256\", error=\"invalid_token\", error_description=\"expired: the token has expired; get a new one\"",
                "Bearer error=\"invalid_token\", error_description=\"expired: the token has expired; get a new one\"",
            ]
        );
    }

    #[test]
    fn only_dpop_hears_of_proofs_and_a_narrow_token_hears_the_scope() {
        let found = values(true, ChallengeError::InvalidDpopProof, ReasonCode::ProofReplayed);
        assert!(found[0].contains("error=\"invalid_dpop_proof\""), "{found:?}");
        assert_eq!(found[1], "Bearer");
        let found = values(true, ChallengeError::InsufficientScope, ReasonCode::InsufficientScope);
        assert!(found.iter().all(|value| value.ends_with(", scope=\"orders:read\"")), "{found:?}");
    }
}
