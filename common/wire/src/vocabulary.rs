//! The fixed words of the protocols: paths, header names, grant and assertion types.
//! Not here: anything that has a structure.

/// The one root of our own URNs.
pub mod urn {
    /// Prefix of every identifier that no standard defines.
    pub const ROOT: &str = "urn:symbolon";
}

/// The page that explains a reason code: `<root>#<code>`.
#[must_use]
pub fn error_uri(code: symbolon_identity::ReasonCode) -> String {
    format!("https://symbolon.dev/reference/reason-codes#{code}")
}

/// Paths of the HTTP interfaces.
pub mod paths {
    /// Token endpoint (RFC 6749 §3.2).
    pub const TOKEN: &str = "/oauth2/token";
    /// Introspection endpoint (RFC 7662 §2).
    pub const INTROSPECT: &str = "/oauth2/introspect";
    /// Revocation endpoint (RFC 7009 §2).
    pub const REVOKE: &str = "/oauth2/revoke";
    /// The revocation feed, which is also the audience of the tokens that open it.
    pub const STATUS: &str = "/v1/status";
    /// What the broker would say of evidence, on the admin socket.
    pub const EVIDENCE: &str = "/v1/evidence";
    /// Revocations by operators, on the admin socket.
    pub const REVOCATIONS: &str = "/v1/revocations";
    /// Public keys (RFC 7517 §5).
    pub const JWKS: &str = "/.well-known/jwks.json";
    /// `OpenID` provider metadata.
    pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
    /// Authorization server metadata (RFC 8414 §3).
    pub const AUTHORIZATION_SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";
    /// Protected resource metadata (RFC 9728 §3).
    pub const PROTECTED_RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";
    /// Where a gateway takes another token for an open stream.
    pub const STREAM_RENEWAL: &str = "/.well-known/symbolon/streams/renew";
    /// Whether the process lives.
    pub const LIVEZ: &str = "/livez";
    /// Whether the process can serve.
    pub const READYZ: &str = "/readyz";
    /// Whether the process has started.
    pub const STARTUPZ: &str = "/startupz";
    /// `OpenMetrics` text.
    pub const METRICS: &str = "/metrics";
    /// Decisions by id, on the admin sockets: `/v1/decisions/{id}`.
    pub const DECISIONS: &str = "/v1/decisions";
    /// Signing keys, on the broker's admin socket: the list, `/rotate`, `/{kid}/retire` and `/{kid}/revoke`.
    pub const KEYS: &str = "/v1/keys";
    /// The sidecar's own token endpoint for local callers.
    pub const SIDECAR_TOKEN: &str = "/v1/token";
}

/// Values of `grant_type`.
pub mod grant_type {
    /// RFC 6749 §4.4.
    pub const CLIENT_CREDENTIALS: &str = "client_credentials";
    /// RFC 8693 §2.1.
    pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
}

/// Token type identifiers (RFC 8693 §3).
pub mod token_type {
    /// An access token of the given issuer.
    pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    /// Any JWT.
    pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    /// An `OpenID` Connect ID token.
    pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
}

/// Values of `client_assertion_type`.
pub mod client_assertion_type {
    /// RFC 7523 §2.2: any JWT evidence.
    pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
}

/// Header names, in lower case as HTTP/2 writes them.
pub mod header {
    /// RFC 9449 §4.1.
    pub const DPOP: &str = "dpop";
    /// RFC 9449 §8.
    pub const DPOP_NONCE: &str = "dpop-nonce";
    /// Transaction tokens.
    pub const TXN_TOKEN: &str = "txn-token";
    /// The workload that made the request: the outermost actor, else the subject.
    pub const WORKLOAD_ID: &str = "x-workload-id";
    /// The token's subject.
    pub const WORKLOAD_SUBJECT: &str = "x-workload-subject";
    /// The token's issuer.
    pub const WORKLOAD_ISSUER: &str = "x-workload-issuer";
    /// The audience that the route asked for.
    pub const WORKLOAD_AUDIENCE: &str = "x-workload-audience";
    /// The token's scopes.
    pub const WORKLOAD_SCOPE: &str = "x-workload-scope";
    /// The chain of actors, outermost first.
    pub const WORKLOAD_ACTORS: &str = "x-workload-actors";
    /// The id of the request, for logs on both sides.
    pub const REQUEST_ID: &str = "x-request-id";
    /// The id of an open stream: in the answer that opens it, and in the request that renews it.
    pub const SYMBOLON_STREAM: &str = "symbolon-stream";
    /// Local callers of the sidecar must send it; a browser or a forged form cannot.
    pub const SYMBOLON_REQUEST: &str = "symbolon-request";
}
