//! Making a token.
//! Not here: deciding what it says; the broker does.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use symbolon_jws::{SigningHeader, SigningKey};

use crate::{Claims, TokenError, TokenHash, TokenType};

/// A freshly signed token: a secret that is exposed at the last moment and never shown.
#[derive(Clone)]
pub struct SignedToken {
    token: SecretString,
    hash: TokenHash,
}

impl SignedToken {
    /// The compact token.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.token.expose_secret()
    }

    /// The token's hash, by which records name it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        self.hash
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedToken").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// Signs the claims as a compact JWT of this kind, with the key's `kid`.
///
/// # Errors
/// [`TokenError::Signing`] if the token would be too large or the library fails, [`TokenError::WrongType`] for
/// [`TokenType::Absent`]: what we sign says what it is, and [`TokenError::MissingClaim`] without an audience.
pub fn sign(claims: &Claims, token_type: TokenType, key: &SigningKey) -> Result<SignedToken, TokenError> {
    if token_type == TokenType::Absent {
        return Err(TokenError::WrongType);
    }
    if claims.audiences.is_empty() {
        return Err(TokenError::MissingClaim { claim: "aud" });
    }
    let payload = serde_json::Value::Object(claims.write()).to_string();
    let header = SigningHeader::typed(token_type.as_str()).with_key_id(key.key_id());
    let token = key.sign(&header, payload.as_bytes()).map_err(TokenError::Signing)?;
    Ok(SignedToken { hash: TokenHash::of(&token), token: SecretString::from(token) })
}
