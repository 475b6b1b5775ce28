//! The key pair of a caller, and the proofs it makes (RFC 9449 §4.2).
//! Not here: where the key is kept; the caller reads and writes the file.

use secrecy::SecretString;
use symbolon_identity::Timestamp;
use symbolon_jws::{
    Algorithm, CryptoError, Jwk, SigningHeader, SigningKey, SigningKeyError, Thumbprint, base64url,
    random_bytes,
};

use crate::claims::{PROOF_TYPE, ProofClaims, token_hash};

/// A key that proves possession of itself, request by request. It is never shown.
#[derive(Debug)]
pub struct ProofKey(SigningKey);

/// The request that a proof is made for.
#[derive(Debug, Clone, Copy)]
pub struct ProofRequest<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The absolute URI as the receiver knows it; query and fragment are left out of the proof.
    pub target_uri: &'a str,
    /// The access token that goes with the request; none at the token endpoint.
    pub access_token: Option<&'a str>,
    /// The nonce that the receiver asked for.
    pub nonce: Option<&'a str>,
}

/// Why a proof key could not be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofKeyError {
    /// The key was refused or could not sign.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl ProofKey {
    /// Generates a key: ES256 by default of the programs, `EdDSA` on wish.
    ///
    /// # Errors
    /// [`ProofKeyError`] for RSA algorithms, or if the random generator fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, ProofKeyError> {
        Ok(Self(SigningKey::generate(algorithm)?))
    }

    /// Reads the key from a private JWK.
    ///
    /// # Errors
    /// [`ProofKeyError`] if it is not a whole private key.
    pub fn from_private_jwk(json: &[u8]) -> Result<Self, ProofKeyError> {
        Ok(Self(SigningKey::from_private_jwk(json)?))
    }

    /// The private JWK, to be written where only this program reads.
    #[must_use]
    pub fn to_private_jwk(&self) -> SecretString {
        self.0.to_private_jwk()
    }

    /// The thumbprint that tokens bound to this key carry in `cnf.jkt`.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint()
    }

    /// The key's algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    /// The public key.
    #[must_use]
    pub fn public_jwk(&self) -> &Jwk {
        self.0.public_jwk()
    }

    /// Makes a fresh proof for one request.
    ///
    /// # Errors
    /// [`ProofKeyError`] if the library fails or the result would be too large.
    pub fn prove(&self, request: &ProofRequest<'_>, now: Timestamp) -> Result<String, ProofKeyError> {
        let target = request.target_uri;
        let claims = ProofClaims {
            jti: base64url::encode(random_bytes::<16>()?),
            htm: request.method.to_owned(),
            htu: target.split_once(['?', '#']).map_or(target, |(plain, _)| plain).to_owned(),
            iat: now.as_secs(),
            ath: request.access_token.map(|token| token_hash(token).1),
            nonce: request.nonce.map(str::to_owned),
        };
        let payload = serde_json::to_vec(&claims).map_err(|_| CryptoError)?;
        Ok(self.0.sign(&SigningHeader::typed(PROOF_TYPE).with_embedded_key(), &payload)?)
    }
}
