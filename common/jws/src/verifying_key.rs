//! A public key that was parsed once and verifies many times.
//! Not here: which key a token should be verified with.

use std::fmt;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    VerificationAlgorithm,
};

use crate::jwk::{Curve, Material};
use crate::{Algorithm, Jwk, JwkError, JwsError, Thumbprint};

/// A public key bound to one algorithm (RFC 8725 §3.1); a token cannot choose another.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key_id: Option<String>,
    thumbprint: Thumbprint,
    signature_bytes: usize,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// The key for the algorithm that its JWK names or its type implies.
    ///
    /// # Errors
    /// [`JwkError`] if the key is not valid, or an RSA key does not name its algorithm.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, JwkError> {
        Self::from_jwk_as(jwk, jwk.algorithm().ok_or(JwkError::AlgorithmMissing)?)
    }

    /// The key for an algorithm that the caller's configuration chose.
    ///
    /// # Errors
    /// [`JwkError`] if the key is not valid or is for another algorithm.
    pub fn from_jwk_as(jwk: &Jwk, algorithm: Algorithm) -> Result<Self, JwkError> {
        let fits = jwk.material().fits(algorithm) && jwk.algorithm().is_none_or(|named| named == algorithm);
        if !fits {
            return Err(JwkError::WrongAlgorithm { algorithm });
        }
        let key = match jwk.material() {
            Material::Ec { curve, x, y } => {
                let point = [&[4_u8], x.as_slice(), y.as_slice()].concat();
                ParsedPublicKey::new(ecdsa(*curve), point)
            }
            Material::Ed25519 { x } => ParsedPublicKey::new(&ED25519, x),
            Material::Rsa { n, e } => {
                PublicKeyComponents { n, e }.to_parsed_public_key(rsa(algorithm).ok_or(JwkError::Invalid)?)
            }
        };
        Ok(Self {
            algorithm,
            key_id: jwk.key_id().map(str::to_owned),
            thumbprint: jwk.thumbprint(),
            signature_bytes: match jwk.material() {
                Material::Ec { curve, .. } => curve.field_bytes().saturating_mul(2),
                Material::Ed25519 { .. } => 64,
                Material::Rsa { n, .. } => n.len(),
            },
            key: key.map_err(|_| JwkError::Invalid)?,
        })
    }

    /// The only algorithm that this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key's `kid`.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The key's RFC 7638 thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        if signature.len() != self.signature_bytes {
            return Err(JwsError::BadSignature);
        }
        self.key.verify_sig(message, signature).map_err(|_| JwsError::BadSignature)
    }
}

fn ecdsa(curve: Curve) -> &'static dyn VerificationAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED,
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => None,
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}
