//! Why a token was refused.
//! Not here: the status it is answered with; each program's one error map says that.

use std::time::Duration;

use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_jws::strict_json::StrictJsonError;
use symbolon_jws::{JwsError, SigningKeyError};

/// Why a token was refused, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The JWS is not well formed or its signature does not verify.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The payload is not a strict JSON object.
    #[error("the payload is refused: {0}")]
    Payload(#[source] StrictJsonError),
    /// A claim has a wrong type or an impossible value.
    #[error("the claim `{claim}` is malformed")]
    Claim {
        /// The claim.
        claim: &'static str,
    },
    /// A required claim is missing.
    #[error("the claim `{claim}` is missing")]
    MissingClaim {
        /// The claim.
        claim: &'static str,
    },
    /// `cnf` names a method that we cannot check.
    #[error("the token is bound in a way that is not supported")]
    UnsupportedConfirmation,
    /// `typ` is not one of the expected kinds.
    #[error("the token is of another kind")]
    WrongType,
    /// `iss` is not the issuer whose key this is.
    #[error("the token is of another issuer")]
    WrongIssuer,
    /// `aud` does not name this receiver, or names others beside it where it must not.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `exp` has passed.
    #[error("the token expired at {at}")]
    Expired {
        /// `exp`.
        at: Timestamp,
    },
    /// `nbf` lies in the future.
    #[error("the token is not valid before {at}")]
    NotYetValid {
        /// `nbf`.
        at: Timestamp,
    },
    /// `iat` lies in the future.
    #[error("the token was issued at {at}, in the future")]
    IssuedInTheFuture {
        /// `iat`.
        at: Timestamp,
    },
    /// The token lives longer than tokens of this issuer may.
    #[error("the token lives {} s, the limit is {} s", lifetime.as_secs(), limit.as_secs())]
    LifetimeTooLong {
        /// Its life.
        lifetime: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The token is bound to a key, and no proof came with it.
    #[error("the token is bound to a key and came without a proof")]
    ProofMissing,
    /// The token is bound to a client certificate, and none came with it.
    #[error("the token is bound to a certificate and came without it")]
    CertificateMissing,
    /// The proof is of another key or for another token.
    #[error("the token is bound to another key")]
    BindingMismatch,
    /// The token could not be signed.
    #[error("the token could not be signed: {0}")]
    Signing(#[source] SigningKeyError),
}

impl TokenError {
    /// The stable code of the refusal.
    #[must_use]
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::Jws(error) => jws_reason(error),
            Self::Payload(_)
            | Self::Claim { .. }
            | Self::MissingClaim { .. }
            | Self::UnsupportedConfirmation => ReasonCode::Malformed,
            Self::WrongType => ReasonCode::WrongType,
            Self::WrongIssuer => ReasonCode::UnknownIssuer,
            Self::WrongAudience => ReasonCode::WrongAudience,
            Self::Expired { .. } => ReasonCode::Expired,
            Self::NotYetValid { .. } | Self::IssuedInTheFuture { .. } => ReasonCode::NotYetValid,
            Self::LifetimeTooLong { .. } => ReasonCode::LifetimeTooLong,
            Self::ProofMissing | Self::CertificateMissing => ReasonCode::ProofMissing,
            Self::BindingMismatch => ReasonCode::BindingMismatch,
            Self::Signing(_) => ReasonCode::TokenUnavailable,
        }
    }

    /// Whether it is a failure of ours rather than of the token that was presented.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        match self {
            Self::Signing(error) => error.is_our_fault(),
            Self::Jws(error) => error.is_our_fault(),
            Self::Payload(_)
            | Self::Claim { .. }
            | Self::MissingClaim { .. }
            | Self::UnsupportedConfirmation
            | Self::WrongType
            | Self::WrongIssuer
            | Self::WrongAudience
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::IssuedInTheFuture { .. }
            | Self::LifetimeTooLong { .. }
            | Self::ProofMissing
            | Self::CertificateMissing
            | Self::BindingMismatch => false,
        }
    }
}

fn jws_reason(error: &JwsError) -> ReasonCode {
    match error {
        JwsError::TooLarge { .. } => ReasonCode::TooLarge,
        JwsError::UnsupportedAlgorithm { .. } | JwsError::AlgorithmMismatch { .. } => {
            ReasonCode::AlgNotAllowed
        }
        JwsError::KeyIdMismatch => ReasonCode::UnknownKid,
        JwsError::BadSignature => ReasonCode::BadSignature,
        JwsError::NotThreeParts
        | JwsError::Encoding { .. }
        | JwsError::Header(_)
        | JwsError::HeaderMember { .. }
        | JwsError::CriticalExtension
        | JwsError::UnsupportedMember { .. }
        | JwsError::KeyInHeader { .. }
        | JwsError::EmbeddedKeyMissing
        | JwsError::EmbeddedKey(_)
        | JwsError::Payload(_) => ReasonCode::Malformed,
    }
}
