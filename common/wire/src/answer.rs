//! What the token endpoint answers when it grants.
//! Not here: refusals (`OAuthError`).

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// How a token may be presented (RFC 6749 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenType {
    /// Whoever holds it may use it (RFC 6750).
    Bearer,
    /// Only with a proof of the key it is bound to (RFC 9449 §5).
    #[serde(rename = "DPoP")]
    Dpop,
}

impl TokenType {
    /// The authentication scheme of the `Authorization` header.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// A successful answer of the token endpoint (RFC 6749 §5.1).
///
/// Serialising it writes the token out: only the answer to the caller may do that.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// The token.
    #[serde(serialize_with = "exposed")]
    pub access_token: SecretString,
    /// How it may be presented.
    pub token_type: TokenType,
    /// Its remaining life in seconds.
    pub expires_in: u64,
    /// The scopes that were granted.
    pub scope: String,
    /// What kind of token it is, after an exchange (RFC 8693 §2.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<String>,
}

fn exposed<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_members_of_the_rfc_and_hides_the_token_from_debug() {
        let text = r#"{"access_token":"t0ken","token_type":"DPoP","expires_in":300,"scope":"a"}"#;
        let answer: TokenAnswer = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        assert!(!format!("{answer:?}").contains("t0ken"));
    }
}
