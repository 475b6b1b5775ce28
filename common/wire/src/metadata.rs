//! The metadata document of an authorization server.
//! Not here: who serves or fetches it.

use serde::{Deserialize, Serialize};
use symbolon_identity::IssuerUrl;

/// Authorization server metadata (RFC 8414 §2), which also serves as the `OpenID` provider document that many gateways read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// The issuer; equal to the one that was looked up (RFC 8414 §3.3).
    pub issuer: IssuerUrl,
    /// Where the public keys are.
    pub jwks_uri: String,
    /// Where tokens are issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Where tokens are asked about (RFC 7662).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// Where tokens are given back (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// Required by RFC 8414 even without an authorization endpoint.
    #[serde(default)]
    pub response_types_supported: Vec<String>,
    /// Required by `OpenID` discovery.
    #[serde(default)]
    pub subject_types_supported: Vec<String>,
    /// Required by `OpenID` discovery.
    #[serde(default)]
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// Grants of the token endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_types_supported: Vec<String>,
    /// How clients authenticate at the token endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Algorithms of client assertions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// How callers authenticate at the introspection endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introspection_endpoint_auth_methods_supported: Vec<String>,
    /// Algorithms of their assertions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introspection_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// How callers authenticate at the revocation endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// Algorithms of their assertions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocation_endpoint_auth_signing_alg_values_supported: Vec<String>,
    /// Algorithms of proofs of possession (RFC 9449 §5.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// Scopes of all resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
}

/// The path of a well-known document of an issuer with a path: inserted between host and path (RFC 8414 §3.1).
#[must_use]
pub fn well_known_inserted(well_known: &str, issuer_path: &str) -> String {
    format!("{well_known}{}", issuer_path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_is_inserted_before_the_path() {
        let inserted = |path| well_known_inserted("/.well-known/oauth-authorization-server", path);
        assert_eq!(inserted("/tenant/a"), "/.well-known/oauth-authorization-server/tenant/a");
        assert_eq!(inserted("/"), "/.well-known/oauth-authorization-server");
    }

    #[test]
    fn a_document_of_another_server_is_read_with_unknown_members() {
        let text = r#"{"issuer":"https://a.example","jwks_uri":"https://a.example/keys","authorization_endpoint":"x"}"#;
        let metadata: ServerMetadata = serde_json::from_str(text).unwrap();
        assert_eq!(metadata.jwks_uri, "https://a.example/keys");
    }
}
