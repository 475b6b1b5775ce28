//! The compact JWS (RFC 7515 §7.1): parsed, then verified, then used.
//! Not here: claims and times (`symbolon-token`), the JSON serializations and JWE, which are not supported.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{Header, Jwk, JwsError, VerifyingKey, base64url, strict_json};

/// The longest token that is looked at: 16 KiB, checked before anything is split or copied.
pub const MAX_TOKEN_BYTES: usize = 16_384;

/// A well-formed compact JWS whose signature has not been checked. Nothing in it can be believed.
#[derive(Clone)]
pub struct UnverifiedJws {
    header: Header,
    signing_input: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// A JWS whose signature was verified with a [`VerifyingKey`]; made only by [`UnverifiedJws`].
#[derive(Clone)]
pub struct VerifiedJws {
    header: Header,
    payload: Vec<u8>,
}

impl UnverifiedJws {
    /// Parses a compact JWS: size first, then exactly three canonical parts, then a strict header.
    ///
    /// # Errors
    /// [`JwsError`] if the token is too large, not well formed, or its header asks for something that is never
    /// allowed here (`none`, an HMAC algorithm, `crit`, `b64`, JWE members).
    pub fn parse(token: &str) -> Result<Self, JwsError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwsError::TooLarge { length: token.len() });
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::NotThreeParts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::NotThreeParts)?;
        if payload.contains('.') {
            return Err(JwsError::NotThreeParts);
        }
        let header = Header::parse(&decode("header", header)?)?;
        Ok(Self {
            header,
            signing_input: signing_input.to_owned(),
            payload: decode("payload", payload)?,
            signature: decode("signature", signature)?,
        })
    }

    /// The header, to choose a key by. Nothing in it is proven.
    #[must_use]
    pub fn header_hint(&self) -> &Header {
        &self.header
    }

    /// The payload, to choose an issuer by. Nothing in it is proven.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Verifies the signature with a key that the caller chose, not the token.
    ///
    /// # Errors
    /// [`JwsError`] if the header names another algorithm or `kid` than the key's, brings its own key, or the
    /// signature does not verify.
    pub fn verify(&self, key: &VerifyingKey) -> Result<VerifiedJws, JwsError> {
        self.header.refuse_own_key()?;
        if let (Some(named), Some(known)) = (self.header.key_id(), key.key_id())
            && named != known
        {
            return Err(JwsError::KeyIdMismatch);
        }
        self.verify_signature(key)
    }

    /// Verifies the signature with the key in the token's own `jwk`, and returns that key.
    ///
    /// This proves only that the sender holds the key, as a proof of possession does (RFC 9449 §4.3); it says
    /// nothing about who the sender is. Never use it for a token that somebody else issued.
    ///
    /// # Errors
    /// [`JwsError`] if there is no acceptable public key in `jwk` or the signature does not verify with it.
    pub fn verify_with_embedded_key(&self) -> Result<(VerifiedJws, Jwk), JwsError> {
        let jwk = self.header.embedded_key()?;
        let key = VerifyingKey::from_jwk_as(&jwk, self.header.algorithm()).map_err(JwsError::EmbeddedKey)?;
        Ok((self.verify_signature(&key)?, jwk))
    }

    fn verify_signature(&self, key: &VerifyingKey) -> Result<VerifiedJws, JwsError> {
        let (expected, found) = (key.algorithm(), self.header.algorithm());
        if expected != found {
            return Err(JwsError::AlgorithmMismatch { expected, found });
        }
        key.verify(self.signing_input.as_bytes(), &self.signature)?;
        Ok(VerifiedJws { header: self.header.clone(), payload: self.payload.clone() })
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, JwsError> {
    base64url::decode(text).map_err(|_| JwsError::Encoding { part })
}

impl VerifiedJws {
    /// The header, proven.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The payload, proven.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as strict JSON.
    ///
    /// # Errors
    /// [`JwsError::Payload`] if the payload is not strict JSON or not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        strict_json::from_slice(&self.payload).map_err(JwsError::Payload)
    }
}

impl fmt::Debug for UnverifiedJws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedJws").finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiedJws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedJws").field("header", &self.header).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
