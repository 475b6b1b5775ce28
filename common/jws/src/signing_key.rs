//! A private key that signs with one algorithm.
//! Not here: where keys are kept and when they rotate.

mod pair;
mod private_jwk;

use std::fmt;

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::jwk::{Curve, Material};
use crate::strict_json::StrictJsonError;
use crate::{Algorithm, CryptoError, Jwk, JwkError, SigningHeader, Thumbprint, VerifyingKey, base64url};
use pair::Pair;
use private_jwk::PrivateJwk;

/// A private key bound to one algorithm, parsed once. It is never shown.
pub struct SigningKey {
    pair: Pair,
    public: Jwk,
    private: SecretString,
    verifying: VerifyingKey,
}

/// Why a private key could not be made, read or used. No message repeats key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// The cryptographic library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// Keys of this algorithm are read, not generated, here.
    #[error("keys for {algorithm} are not generated here")]
    NotGenerated {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The text is not a strict JSON object with text members.
    #[error("the private key is refused: {0}")]
    Json(#[source] StrictJsonError),
    /// The public half is refused.
    #[error("the public half of the key is refused: {0}")]
    Public(#[source] JwkError),
    /// A private member is missing, malformed or of the wrong length.
    #[error("the private member `{member}` is missing or malformed")]
    PrivateMember {
        /// The member's name.
        member: &'static str,
    },
    /// The private and the public half are not one key.
    #[error("the private and the public half of the key do not fit")]
    Mismatch,
    /// The signed text would be longer than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES).
    #[error("the token would be {length} bytes long, the limit is {}", crate::MAX_TOKEN_BYTES)]
    TooLarge {
        /// The length it would have.
        length: usize,
    },
}

impl SigningKeyError {
    /// Whether it is a failure of ours rather than of the key that was given.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        match self {
            Self::Crypto(_) | Self::TooLarge { .. } => true,
            Self::NotGenerated { .. }
            | Self::Json(_)
            | Self::Public(_)
            | Self::PrivateMember { .. }
            | Self::Mismatch => false,
        }
    }
}

impl SigningKey {
    /// Generates a key for ES256, ES384, ES512 or `EdDSA`; its `kid` is its thumbprint.
    ///
    /// # Errors
    /// [`SigningKeyError`] for RSA algorithms, or if the random generator fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        match algorithm {
            Algorithm::Es256 => Self::generate_ec(Curve::P256),
            Algorithm::Es384 => Self::generate_ec(Curve::P384),
            Algorithm::Es512 => Self::generate_ec(Curve::P521),
            Algorithm::EdDsa => Self::generate_ed25519(),
            _ => Err(SigningKeyError::NotGenerated { algorithm }),
        }
    }

    fn generate_ec(curve: Curve) -> Result<Self, SigningKeyError> {
        let pair = EcdsaKeyPair::generate(pair::ecdsa(curve)).map_err(|_| CryptoError)?;
        let point = pair.public_key().as_ref();
        // INVARIANT: the library gives the uncompressed point: 0x04, x, y (SEC 1 §2.3.3).
        let (x, y) = point
            .get(1..)
            .and_then(|coordinates| coordinates.split_at_checked(curve.field_bytes()))
            .ok_or(CryptoError)?;
        let material = Material::Ec { curve, x: x.to_vec(), y: y.to_vec() };
        let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| CryptoError)?;
        let d = Zeroizing::new(base64url::encode(d.as_ref()));
        Self::assemble(Pair::Ec(pair), material, curve.algorithm(), None, &[("d", &d)])
    }

    fn generate_ed25519() -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| CryptoError)?;
        let material = Material::Ed25519 { x: pair.public_key().as_ref().to_vec() };
        let seed = pair.seed().map_err(|_| CryptoError)?;
        let d: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| CryptoError)?;
        let d = Zeroizing::new(base64url::encode(d.as_ref()));
        Self::assemble(Pair::Ed25519(pair), material, Algorithm::EdDsa, None, &[("d", &d)])
    }

    /// Reads a private JWK (RFC 7518 §6, RFC 8037 §2): EC, Ed25519, or RSA with all its CRT members and `alg`.
    ///
    /// # Errors
    /// [`SigningKeyError`] if it is not strict JSON, not a whole key, or its halves do not fit.
    pub fn from_private_jwk(json: &[u8]) -> Result<Self, SigningKeyError> {
        let private: PrivateJwk = crate::strict_json::from_slice(json).map_err(SigningKeyError::Json)?;
        let public = private.public()?;
        let algorithm = public.algorithm().ok_or(SigningKeyError::Public(JwkError::AlgorithmMissing))?;
        let pair = private.pair(&public)?;
        let key_id = public.key_id().map(str::to_owned);
        Self::assemble(pair, public.material().clone(), algorithm, key_id, &private.secrets())
    }

    fn assemble(
        pair: Pair,
        material: Material,
        algorithm: Algorithm,
        key_id: Option<String>,
        secrets: &[(&str, &str)],
    ) -> Result<Self, SigningKeyError> {
        let public = Jwk::new(material, algorithm, key_id);
        let key_id = public.key_id().map_or_else(|| public.thumbprint().to_string(), str::to_owned);
        let public = public.with_key_id(key_id);
        let verifying = VerifyingKey::from_jwk(&public).map_err(SigningKeyError::Public)?;
        let private = private_jwk::render(&public, secrets)?;
        Ok(Self { pair, public, private, verifying })
    }

    /// The private JWK, to be sealed or written where only its owner reads.
    #[must_use]
    pub fn to_private_jwk(&self) -> SecretString {
        self.private.clone()
    }

    /// The private key as PKCS#8 in PEM, as other programs read it.
    ///
    /// # Errors
    /// [`CryptoError`] if the library fails.
    pub fn to_pkcs8_pem(&self) -> Result<SecretString, CryptoError> {
        let der = self.pair.to_pkcs8()?;
        let mut text = Zeroizing::new(STANDARD.encode(der.as_slice()));
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        while !text.is_empty() {
            let line = text.len().min(64);
            let rest = Zeroizing::new(text.split_off(line));
            pem.push_str(&text);
            pem.push('\n');
            text = rest;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(SecretString::from(pem))
    }

    /// The public key with `use`, `alg` and `kid`, as it is published.
    #[must_use]
    pub fn public_jwk(&self) -> &Jwk {
        &self.public
    }

    /// The public key, ready to verify.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The algorithm that this key signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm()
    }

    /// The key's `kid`; its thumbprint unless it was read with another.
    #[must_use]
    pub fn key_id(&self) -> &str {
        // INVARIANT: `assemble` always sets one.
        self.public.key_id().unwrap_or_default()
    }

    /// The key's RFC 7638 thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.verifying.thumbprint()
    }

    /// Signs a payload as a compact JWS.
    ///
    /// # Errors
    /// [`SigningKeyError`] if the result would be too large for any verifier of ours, or the library fails.
    pub fn sign(&self, header: &SigningHeader<'_>, payload: &[u8]) -> Result<String, SigningKeyError> {
        let header = header.to_json(self.algorithm(), &self.public).map_err(|_| CryptoError)?;
        let mut token = base64url::encode(header);
        token.push('.');
        token.push_str(&base64url::encode(payload));
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(signature));
        if token.len() > crate::MAX_TOKEN_BYTES {
            return Err(SigningKeyError::TooLarge { length: token.len() });
        }
        Ok(token)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
