//! A secret from configuration: a text that is wiped when dropped and never printed.
//! It is not a credential of the protocol; those have types of their own.

use std::{borrow::Cow, fmt};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de};

/// The name by which the typed reader recognises a secret field.
pub(crate) const MARKER: &str = "symbolon_config::Secret";

/// A secret, given as `${file:…}` or `${env:…}`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself: call this where it is used and nowhere earlier.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret as `${file:…}` or `${env:…}`")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
                Err(E::invalid_type(de::Unexpected::Other("a text from elsewhere"), &self))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Secret::from(text))
            }
        }
        // Only our own reader hands an owned string to this name, after it resolved the reference:
        // every other format and serde's buffering (`flatten`, `untagged`) end in an error.
        deserializer.deserialize_newtype_struct(MARKER, Visitor)
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^\\$\\{(file|env):[^}]+\\}$",
            "description": "A secret, as `${file:PATH}` or `${env:NAME}`.",
        })
    }
}
