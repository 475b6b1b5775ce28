//! The RFC 7638 thumbprint of a key.
//! Not here: the canonical form that is hashed; [`Jwk::thumbprint`](crate::Jwk::thumbprint) makes it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;

use crate::base64url;

/// The SHA-256 thumbprint of a public key (RFC 7638 §3), compared in constant time.
#[derive(Clone, Copy, Eq)]
pub struct Thumbprint([u8; 32]);

/// A text that is not a SHA-256 thumbprint in base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 thumbprint in base64url")]
pub struct ThumbprintError;

impl Thumbprint {
    /// The thumbprint with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 43 characters of base64url.
    ///
    /// # Errors
    /// [`ThumbprintError`] if the text is not the canonical form of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, ThumbprintError> {
        let bytes = base64url::decode(text).map_err(|_| ThumbprintError)?;
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| ThumbprintError)
    }
}

impl PartialEq for Thumbprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Thumbprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = ThumbprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_comes_back_from_its_text() {
        let thumbprint = Thumbprint::from_bytes([7; 32]);
        assert_eq!(Thumbprint::parse(&thumbprint.to_string()).unwrap(), thumbprint);
        assert_ne!(Thumbprint::from_bytes([8; 32]), thumbprint);
    }

    #[test]
    fn other_lengths_and_spellings_are_refused() {
        let text = Thumbprint::from_bytes([255; 32]).to_string();
        for bad in ["", "AA", &text[1..], &format!("{text}="), &format!("{}9", &text[..42])] {
            assert!(Thumbprint::parse(bad).is_err(), "{bad}");
        }
    }
}
