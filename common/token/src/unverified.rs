//! A token as it was presented. Nothing in it can be used but two hints.
//! Not here: claims; they come out of [`VerifiedToken`] only.

use std::fmt;

use serde_json::{Map, Value};
use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, UnverifiedJws, VerifyingKey, strict_json};

use crate::{Claims, Expectations, TokenError, TokenHash, TokenType, VerifiedToken};

/// A well-formed JWT that nobody has vouched for yet.
///
/// Its issuer, key id and algorithm can be read as hints, to look a key up by; everything else only after
/// [`UnverifiedToken::verify`].
#[derive(Clone)]
pub struct UnverifiedToken {
    jws: UnverifiedJws,
    hash: TokenHash,
    members: Map<String, Value>,
}

impl UnverifiedToken {
    /// Parses a compact JWT: a strict JWS whose payload is a strict JSON object.
    ///
    /// # Errors
    /// [`TokenError`] if it is not well formed.
    pub fn parse(token: &str) -> Result<Self, TokenError> {
        let jws = UnverifiedJws::parse(token)?;
        let members = strict_json::from_slice(jws.unverified_payload()).map_err(TokenError::Payload)?;
        Ok(Self { jws, hash: TokenHash::of(token), members })
    }

    /// The issuer that the token names, to choose the issuer's keys by; compare it exactly.
    #[must_use]
    pub fn issuer_hint(&self) -> Option<&str> {
        self.members.get("iss").and_then(Value::as_str)
    }

    /// The key that the token names, to choose among the issuer's keys.
    #[must_use]
    pub fn key_id_hint(&self) -> Option<&str> {
        self.jws.header_hint().key_id()
    }

    /// The algorithm that the token names, to choose among the issuer's keys. The key decides.
    #[must_use]
    pub fn algorithm_hint(&self) -> Algorithm {
        self.jws.header_hint().algorithm()
    }

    /// The token's hash, to name it by.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        self.hash
    }

    /// Verifies the signature with a key of the expected issuer, then type, issuer, audience, times and required claims.
    ///
    /// The caller answers for the key being the issuer's own: a key of one issuer never proves a token of another.
    ///
    /// # Errors
    /// [`TokenError`] naming the first thing that does not fit.
    pub fn verify(
        &self,
        key: &VerifyingKey,
        expectations: &Expectations<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let verified = self.jws.verify(key)?;
        // INVARIANT: `members` were read from the payload that this signature covers.
        let claims = Claims::read(&self.members)?;
        let token_type = TokenType::of_header(verified.header().token_type());
        let token_type = expectations.check(token_type, &claims, now)?;
        let content = claims.token_id.is_none().then(|| TokenHash::of_bytes(verified.payload()));
        let hashes = (self.hash, content);
        Ok(VerifiedToken::new(claims, hashes, key.thumbprint(), (token_type, expectations.leeway)))
    }
}

impl fmt::Debug for UnverifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedToken").field("hash", &self.hash).finish_non_exhaustive()
    }
}
