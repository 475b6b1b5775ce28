//! A token that was verified. It exists only as the result of a verification.
//! Not here: revocation and policy; a verified token may still be refused.

use std::time::Duration;

use symbolon_identity::Timestamp;
use symbolon_jws::Thumbprint;
use symbolon_proof::CheckedProof;

use crate::expectations::check_time;
use crate::{Claims, TokenError, TokenHash, TokenType};

/// A token whose signature, type, issuer, audience and times were verified.
///
/// It may be kept and used again while its key is trusted and [`VerifiedToken::check_time`] passes.
#[derive(Debug, Clone)]
pub struct VerifiedToken {
    claims: Claims,
    hash: TokenHash,
    /// Only of a token without `jti`.
    content: Option<TokenHash>,
    key_thumbprint: Thumbprint,
    leeway: Duration,
    token_type: TokenType,
}

impl VerifiedToken {
    pub(crate) fn new(
        claims: Claims,
        (hash, content): (TokenHash, Option<TokenHash>),
        key_thumbprint: Thumbprint,
        (token_type, leeway): (TokenType, Duration),
    ) -> Self {
        Self { claims, hash, content, key_thumbprint, leeway, token_type }
    }

    /// The kind of token that its `typ` says.
    #[must_use]
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// What the issuer says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The token's hash.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        self.hash
    }

    /// The hash of what the signature covers, if the token has no `jti`: an ECDSA signature has a twin, so that the hash of
    /// the whole token is not the only one of its content.
    #[must_use]
    pub fn content_hash(&self) -> Option<TokenHash> {
        self.content
    }

    /// The thumbprint of the issuer's key that the token was verified with; the verdict dies with that key.
    #[must_use]
    pub fn key_thumbprint(&self) -> Thumbprint {
        self.key_thumbprint
    }

    /// Checks the times again, for a verdict that was kept.
    ///
    /// # Errors
    /// [`TokenError`] if the token has expired, or the clock went back to before it began.
    pub fn check_time(&self, now: Timestamp) -> Result<(), TokenError> {
        check_time(&self.claims, self.leeway, now)
    }

    /// Checks that the presenter holds the key that the token is bound to. A token without `cnf` passes; whether
    /// unbound tokens are accepted is for the caller to say.
    ///
    /// # Errors
    /// [`TokenError::ProofMissing`] if the token is bound and no proof came with it, [`TokenError::BindingMismatch`]
    /// if the proof is of another key or for another token, [`TokenError::CertificateMissing`] for a token bound to a
    /// certificate, which cannot be presented yet.
    pub fn check_binding(&self, proof: Option<&CheckedProof>) -> Result<(), TokenError> {
        let Some(confirmation) = &self.claims.confirmation else { return Ok(()) };
        if confirmation.x5t_s256.is_some() {
            return Err(TokenError::CertificateMissing);
        }
        let proof = proof.ok_or(TokenError::ProofMissing)?;
        let fits = confirmation.jkt == Some(proof.thumbprint())
            && proof.token_hash().as_ref() == Some(self.hash.as_bytes());
        if fits { Ok(()) } else { Err(TokenError::BindingMismatch) }
    }
}
