//! An opaque token: a text that means something to its issuer only (RFC 6749 §1.4).
//! Not here: what it stands for; its issuer says that (`introspected`).

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::TokenHash;

/// A token that says nothing by itself. It is never shown; its hash names it.
#[derive(Clone)]
pub struct OpaqueToken {
    text: SecretString,
    hash: TokenHash,
}

impl OpaqueToken {
    /// The longest text.
    pub const MAX_BYTES: usize = 4096;

    /// The token with this text, if it can be an opaque one: of the characters that a bearer token has (RFC 6750 §2.1),
    /// and not in the form of a JWS or JWE. What has that form is another issuer's perhaps, and nobody else's business.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.trim_end_matches('=');
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let dots = body.bytes().filter(|byte| *byte == b'.').count();
        if body.is_empty() || text.len() > Self::MAX_BYTES || !body.bytes().all(fits) || matches!(dots, 2 | 4)
        {
            return None;
        }
        Some(Self { hash: TokenHash::of(text), text: SecretString::from(text) })
    }

    /// Whether it begins like this.
    #[must_use]
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.text.expose_secret().starts_with(prefix)
    }

    /// The token itself, for its issuer.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// The token's hash, to name it by.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        self.hash
    }
}

impl fmt::Debug for OpaqueToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpaqueToken").field("hash", &self.hash).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bearer_token_may_be_is_taken() {
        for text in ["a", "idp_at_4f-._~+/x==", "one.dot", &"a".repeat(4096)] {
            assert_eq!(OpaqueToken::parse(text).unwrap().expose(), text);
        }
        for text in ["", "=", "a b", "a=b", "ä", "a\n", "{\"a\":1}", &"a".repeat(4097)] {
            assert!(OpaqueToken::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_has_the_form_of_a_jws_or_a_jwe_is_not_opaque() {
        for text in ["a.b.c", "..", "eyJhbGciOiJFUzUxMiJ9.e30.c2ln", "a.b.c.d.e"] {
            assert!(OpaqueToken::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn it_does_not_show_itself() {
        let shown = format!("{:?}", OpaqueToken::parse("idp_secret").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
