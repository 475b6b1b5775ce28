//! Tokens of our own that come back to us: as subject, as actor, or to be asked about or given back.
//! Not here: who may present them.

use std::sync::Arc;
use std::time::Duration;

use symbolon_identity::{IssuerUrl, Timestamp};
use symbolon_token::{
    AudienceRule, DEFAULT_LEEWAY, Expectations, RequiredClaim, TokenError, TokenType, UnverifiedToken,
    VerifiedToken,
};

use crate::keys::SigningRing;
use crate::resources::LONGEST;
use crate::revoke::Revocations;

/// Verifies our own tokens.
#[derive(Debug)]
pub(crate) struct OwnTokens {
    issuer: IssuerUrl,
    keys: Arc<SigningRing>,
    revocations: Arc<Revocations>,
}

/// Why a token of ours is not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum OwnTokenError {
    /// It names a key that is none of ours.
    #[error("it names a key that is none of ours")]
    UnknownKey,
    /// It does not verify.
    #[error("it does not verify")]
    Token(#[from] TokenError),
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
}

impl OwnTokens {
    /// Verifies tokens that these keys signed as this issuer, unless they were revoked.
    pub(crate) fn new(issuer: IssuerUrl, keys: Arc<SigningRing>, revocations: Arc<Revocations>) -> Self {
        Self { issuer, keys, revocations }
    }

    /// Whether a token says that it is of ours. It proves nothing yet.
    pub(crate) fn is_for(&self, token: &UnverifiedToken) -> bool {
        token.issuer_hint() == Some(self.issuer.as_str())
    }

    /// Verifies an access token of ours.
    ///
    /// # Errors
    /// [`OwnTokenError`] if it is not one, is over, or was revoked.
    pub(crate) fn verify(
        &self,
        token: &UnverifiedToken,
        audience: AudienceRule<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, OwnTokenError> {
        let key = token.key_id_hint().and_then(|id| self.keys.verifying_key(id));
        let key = key.ok_or(OwnTokenError::UnknownKey)?;
        let expectations = Expectations {
            issuer: self.issuer.as_str(),
            audience,
            token_types: &[TokenType::AccessToken],
            max_lifetime: LONGEST + LEEWAY,
            leeway: DEFAULT_LEEWAY,
            required: &[RequiredClaim::TokenId, RequiredClaim::IssuedAt, RequiredClaim::ClientId],
        };
        let verified = token.verify(&key, &expectations, now)?;
        if self.revocations.hit(&verified, now) {
            return Err(OwnTokenError::Revoked);
        }
        Ok(verified)
    }
}

/// A token that lives as long as any may was issued within the last second.
const LEEWAY: Duration = Duration::from_secs(1);
