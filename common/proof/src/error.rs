//! Why a proof was refused.
//! Not here: replays, see [`ReplayError`](crate::ReplayError).

use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_jws::JwsError;

/// Why a proof of possession was refused (RFC 9449 §4.3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The proof is longer than [`MAX_PROOF_BYTES`](crate::MAX_PROOF_BYTES).
    #[error("the proof is {length} bytes long, the limit is {}", crate::MAX_PROOF_BYTES)]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// It is not a JWS signed by the key that it carries.
    #[error("the proof is refused: {0}")]
    Jws(#[from] JwsError),
    /// Its `typ` is not `dpop+jwt`, so it was made for another purpose.
    #[error("the proof's type is not `dpop+jwt`")]
    WrongType,
    /// A claim is empty or too long.
    #[error("the proof's claim `{claim}` is empty or too long")]
    Claim {
        /// The claim.
        claim: &'static str,
    },
    /// `htm` is not the request's method.
    #[error("the proof is for another method")]
    WrongMethod,
    /// `htu` is not the request's target.
    #[error("the proof is for another target")]
    WrongTarget,
    /// `iat` is too long ago.
    #[error("the proof was made at {issued_at}, too long ago")]
    TooOld {
        /// `iat`.
        issued_at: Timestamp,
    },
    /// `iat` lies in the future.
    #[error("the proof was made at {issued_at}, in the future")]
    FromTheFuture {
        /// `iat`.
        issued_at: Timestamp,
    },
    /// `ath` is missing or is not the hash of the token beside the proof.
    #[error("the proof is for another access token")]
    WrongToken,
    /// `nonce` is missing or is not the expected one.
    #[error("the proof lacks the expected nonce")]
    WrongNonce,
}

impl ProofError {
    /// The stable code of the refusal.
    #[must_use]
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::TooOld { .. } | Self::FromTheFuture { .. } => ReasonCode::ProofExpired,
            Self::WrongNonce => ReasonCode::NonceRequired,
            Self::TooLarge { .. }
            | Self::Jws(_)
            | Self::WrongType
            | Self::Claim { .. }
            | Self::WrongMethod
            | Self::WrongTarget
            | Self::WrongToken => ReasonCode::ProofInvalid,
        }
    }

    /// Whether the refusal is a failure of ours; it never is.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        false
    }
}
