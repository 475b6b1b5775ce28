//! Names and opaque identifiers.
//! Not here: words with a structure of their own (`WorkloadId`, `IssuerUrl`, `Scope`, `DecisionId`).

use crate::IdentityError;
use crate::text::{bounded, word};

/// The names that people write in configuration: they end up in metrics, policies and file names.
fn name(kind: &'static str, text: &str) -> Result<(), IdentityError> {
    bounded(kind, text, 63)?;
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: u8| edge(byte) || matches!(byte, b'-' | b'_' | b'.');
    let ends = [text.bytes().next(), text.bytes().last()];
    if text.bytes().all(inner) && ends.into_iter().flatten().all(edge) {
        Ok(())
    } else {
        Err(IdentityError::form(kind, text, "use a-z, 0-9 and inside also `-`, `_`, `.`"))
    }
}

/// Names that policies write like an attribute: `context.local.berlin`.
fn identifier(kind: &'static str, text: &str) -> Result<(), IdentityError> {
    bounded(kind, text, 63)?;
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(inner) {
        Ok(())
    } else {
        Err(IdentityError::form(kind, text, "use a-z, 0-9, `_`, and begin with a letter"))
    }
}

/// Identifiers that other systems chose: printable ASCII without spaces, compared byte by byte.
fn opaque(kind: &'static str, text: &str, limit: usize) -> Result<(), IdentityError> {
    bounded(kind, text, limit)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(IdentityError::form(kind, text, "use printable ASCII without spaces"))
    }
}

word!(
    /// The value that a token's `aud` holds for a resource (RFC 7519 §4.1.3), compared byte by byte.
    Audience, "audience", |kind, text| opaque(kind, text, 512)
);
word!(
    /// An OAuth client identifier (RFC 6749 §2.2).
    ClientId, "client id", |kind, text| opaque(kind, text, 512)
);
word!(
    /// A key identifier, the `kid` of a JWS or JWK (RFC 7515 §4.1.4).
    KeyId, "key id", |kind, text| opaque(kind, text, 256)
);
word!(
    /// The unique id of a token, its `jti` (RFC 7519 §4.1.7).
    TokenId, "token id", |kind, text| opaque(kind, text, 256)
);
word!(
    /// The name of a trust provider in the broker's configuration.
    ProviderName, "provider name", name
);
word!(
    /// The name of a resource in the broker's configuration and in policies.
    ResourceName, "resource name", name
);
word!(
    /// The name of a route of the gateway.
    RouteName, "route name", name
);
word!(
    /// The name of a group of workloads.
    GroupName, "group name", name
);
word!(
    /// The name of an issuer in the gateway's configuration.
    IssuerName, "issuer name", name
);
word!(
    /// The name of a place whose time of day policies may ask for: `context.local.<name>`.
    LocalTimeName, "local time name", identifier
);
word!(
    /// The name of an upstream of the sidecar.
    UpstreamName, "upstream name", name
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_and_starts_and_ends_with_a_letter_or_digit() {
        for good in ["orders", "a", "k8s-prod.eu_1"] {
            assert!(ResourceName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "Orders", "-a", "a-", "a b", "ä", "a/b", &"a".repeat(64)] {
            assert!(ResourceName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_local_time_is_named_like_an_attribute() {
        for good in ["berlin", "head_office2"] {
            assert!(LocalTimeName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "Berlin", "2nd", "_a", "new-york", "a.b", "a\"", "zürich"] {
            assert!(LocalTimeName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_audience_has_no_spaces_or_controls() {
        assert!(Audience::parse("https://orders.internal").is_ok());
        for bad in ["", "a b", "a\n", "a\0", "ордерс", &"a".repeat(513)] {
            assert!(Audience::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_word_survives_json_and_a_bad_one_is_refused_there() {
        let name: ResourceName = serde_json::from_str("\"orders\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"orders\"");
        assert!(serde_json::from_str::<ResourceName>("\"Or ders\"").is_err());
    }
}
