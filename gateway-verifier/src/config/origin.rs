//! What clients call us: scheme, host and port, as it stands in a proof's `htu`.
//! Not here: comparing a proof with it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::request::host_name;

/// An origin (RFC 6454 §4) in lower case without a slash at the end.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin(String);

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an origin: write `https://host` or `https://host:port`, in lower case and nothing behind it"
)]
pub struct OriginError {
    text: String,
}

impl Origin {
    /// Parses `https://host[:port]` or `http://host[:port]`.
    ///
    /// # Errors
    /// [`OriginError`] for another scheme, a user, a path, a query, or upper case.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let good = authority.is_some_and(|authority| host_name(authority).is_some());
        if good && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(OriginError { text: text.escape_default().take(80).collect() })
        }
    }

    /// The origin as a URL without a path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without port.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.0.split_once("://").map_or("", |(_, authority)| authority);
        host_name(authority).unwrap_or_default()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Origin {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Origin".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^https?://[^/]+$", "description": "scheme, host and port" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(Origin::parse("https://orders.example.com").unwrap().host(), "orders.example.com");
        assert_eq!(Origin::parse("http://127.0.0.1:8720").unwrap().host(), "127.0.0.1");
        for bad in [
            "",
            "orders.example.com",
            "https://a/",
            "https://a/x",
            "https://u@a",
            "https://A",
            "ftp://a",
            "https://a?x",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }
}
