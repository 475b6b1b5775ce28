//! The frame that all words share: parse, show, serialise, describe in a schema.
//! Not here: the rule of any single word.

use crate::IdentityError;

/// Refuses an empty text and one beyond `limit` bytes.
pub(crate) fn bounded(kind: &'static str, text: &str, limit: usize) -> Result<(), IdentityError> {
    if text.is_empty() {
        return Err(IdentityError::Empty { kind });
    }
    if text.len() > limit {
        return Err(IdentityError::TooLong { kind, length: text.len(), limit });
    }
    Ok(())
}

/// Defines a newtype over a checked text: `word!(Name, "kind", check_function, "docs")`.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Parses the text, or says which rule it breaks.
            ///
            /// # Errors
            /// [`IdentityError`](crate::IdentityError) if the text is empty, too long or of another form.
            pub fn parse(text: &str) -> Result<Self, $crate::IdentityError> {
                let check: fn(&'static str, &str) -> Result<(), $crate::IdentityError> = $check;
                check($kind, text)?;
                Ok(Self(text.into()))
            }

            /// The text, exactly as it was parsed.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        $crate::text::text_impls!($name, $kind);
    };
}

/// The trait implementations of a type that has `parse` and `as_str`.
macro_rules! text_impls {
    ($name:ident, $kind:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::IdentityError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "minLength": 1, "description": $kind })
            }
        }
    };
}

pub(crate) use {text_impls, word};
