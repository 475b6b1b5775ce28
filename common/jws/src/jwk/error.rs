//! Why a JWK was refused.
//! Not here: why a whole set was refused, see [`JwkSetError`](crate::JwkSetError).

use crate::strict_json::StrictJsonError;
use crate::{Algorithm, UnknownAlgorithm};

/// Why a JWK was refused. No message repeats key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// The text is not strict JSON.
    #[error("the key is refused: {0}")]
    Json(#[source] StrictJsonError),
    /// The key is of a type that we do not use; in a set it is passed over (RFC 7517 §5).
    #[error("the key type `{key_type}` is not supported")]
    UnknownKeyType {
        /// The beginning of `kty`, escaped.
        key_type: String,
    },
    /// The key is on a curve that we do not use.
    #[error("the curve `{curve}` is not supported")]
    UnknownCurve {
        /// The beginning of `crv`, escaped.
        curve: String,
    },
    /// `alg` is not one of our algorithms.
    #[error(transparent)]
    UnknownAlgorithm(UnknownAlgorithm),
    /// `alg` does not fit the key's type or curve.
    #[error("the key cannot be used with {algorithm}")]
    WrongAlgorithm {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// An RSA key does not say which algorithm it is for, and none was given.
    #[error("the key does not say which algorithm it is for")]
    AlgorithmMissing,
    /// `use` or `key_ops` say that the key is for something else than signatures.
    #[error("the key is not for verifying signatures")]
    NotForSignatures,
    /// A member is missing, has the wrong type, length or encoding.
    #[error("the key's member `{member}` is missing or malformed")]
    Member {
        /// The member's name.
        member: &'static str,
    },
    /// The key has a private or secret member where a public key belongs.
    #[error("the key has a private member")]
    PrivateMember,
    /// The RSA modulus is shorter than 2048 or longer than 8192 bits.
    #[error("the RSA modulus has {bits} bits, 2048 to 8192 are allowed")]
    ModulusSize {
        /// Its length in bits.
        bits: usize,
    },
    /// The RSA exponent is even, one, or longer than 33 bits.
    #[error("the RSA exponent is not an odd number from 3 to 2^33")]
    Exponent,
    /// The RSA modulus has the fingerprint of the ROCA weakness (CVE-2017-15361).
    #[error("the RSA key has the ROCA weakness")]
    Roca,
    /// The numbers are not a point on the curve or not a key.
    #[error("the key is not valid")]
    Invalid,
}
