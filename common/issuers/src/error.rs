//! Why an issuer cannot be set up, why its keys cannot be had, or why its token is refused.
//! Not here: what the caller is answered; each program has one map for that.

use std::time::Duration;

use symbolon_http::client::ClientError;
use symbolon_identity::{IssuerName, ReasonCode};
use symbolon_jws::JwkSetError;
use symbolon_token::TokenError;

/// Why issuers cannot be set up: contradictions of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Two issuers have the same name.
    #[error("two issuers are named `{issuer}`")]
    DuplicateName {
        /// The name.
        issuer: IssuerName,
    },
    /// Two issuers have the same `iss`, so that a token would not say which one is meant.
    #[error("issuer `{issuer}` has the same `iss` as another")]
    DuplicateIssuer {
        /// The second one.
        issuer: IssuerName,
    },
    /// The issuer may be asked for no audience or no token type, or use no algorithm: it would open nothing.
    #[error("issuer `{issuer}` has an empty list of {what}")]
    Empty {
        /// The issuer.
        issuer: IssuerName,
        /// The list.
        what: &'static str,
    },
    /// Plain http is for development on one machine.
    #[error("issuer `{issuer}` is reached by plain http, which needs `dev: true` and a loopback address")]
    Plaintext {
        /// The issuer.
        issuer: IssuerName,
    },
    /// The URL of the key set is none.
    #[error("the key set of issuer `{issuer}` has no usable URL")]
    Url {
        /// The issuer.
        issuer: IssuerName,
    },
    /// The URL of the introspection endpoint is none, or plain http where that is not allowed.
    #[error(
        "the introspection endpoint of issuer `{issuer}` is no https URL, or plain http without `dev: true`"
    )]
    Endpoint {
        /// The issuer.
        issuer: IssuerName,
    },
    /// The key set in the configuration cannot be used.
    #[error("the key set of issuer `{issuer}` in the configuration is refused: {source}")]
    InlineKeys {
        /// The issuer.
        issuer: IssuerName,
        /// Why.
        #[source]
        source: FetchError,
    },
}

/// Why a fetch did not bring a key set that can be used; the last good one stays.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer, or none that may be used.
    #[error("{what}: {source}")]
    Http {
        /// Which document was asked for.
        what: Document,
        /// What happened.
        #[source]
        source: ClientError,
    },
    /// It took too long.
    #[error("{what}: no answer in time")]
    TimedOut {
        /// Which document was asked for.
        what: Document,
    },
    /// An answer with another status than 200. Redirects are not followed.
    #[error("{what}: status {status}")]
    Status {
        /// Which document was asked for.
        what: Document,
        /// The status.
        status: u16,
    },
    /// The discovery document is not a JSON object with `issuer` and what is looked for.
    #[error("the discovery document is malformed")]
    Metadata,
    /// The discovery document is another issuer's (OpenID Connect Discovery §4.3, RFC 8414 §3.3).
    #[error("the discovery document is of another issuer")]
    OtherIssuer,
    /// A URL of the discovery document is not https, or plain http where that is not allowed.
    #[error("the `{member}` of the discovery document may not be used")]
    Url {
        /// Its name there.
        member: &'static str,
    },
    /// The file with the key set cannot be read.
    #[error("the key set file cannot be read: {0}")]
    File(std::io::ErrorKind),
    /// A way of somebody's own to the key set failed.
    #[error("the keys cannot be had: {0}")]
    Custom(String),
    /// The key set is malformed or holds something that no public set may hold.
    #[error(transparent)]
    KeySet(#[from] JwkSetError),
    /// The key set holds no key that this issuer may use.
    #[error("the key set holds no usable key")]
    NoUsableKey,
}

impl FetchError {
    /// A word for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Http { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Status { .. } => "status",
            Self::Metadata | Self::OtherIssuer | Self::Url { .. } => "metadata",
            Self::File(_) => "file",
            Self::Custom(_) => "custom",
            Self::KeySet(_) => "malformed",
            Self::NoUsableKey => "no_usable_key",
        }
    }
}

/// A document that is fetched from an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// The discovery document.
    Metadata,
    /// The key set.
    Keys,
}

impl std::fmt::Display for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Metadata => "the discovery document",
            Self::Keys => "the key set",
        })
    }
}

/// Why a presented token is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IssuerError {
    /// No configured issuer has the token's `iss`.
    #[error("no configured issuer has the token's `iss`")]
    UnknownIssuer,
    /// The issuer's keys were fetched since the token's `kid` was first seen, and none has it.
    #[error("issuer `{issuer}` publishes no key with the token's `kid`")]
    UnknownKey {
        /// The issuer.
        issuer: IssuerName,
    },
    /// The issuer's keys could not be had, are too old to be trusted, or may lack a key that is new.
    #[error("the keys of issuer `{issuer}` cannot be had at the moment")]
    KeysUnavailable {
        /// The issuer.
        issuer: IssuerName,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The caller asks for an audience that the issuer is not trusted for: the configuration is to blame.
    #[error("issuer `{issuer}` is not trusted for this audience")]
    AudienceNotTrusted {
        /// The issuer.
        issuer: IssuerName,
    },
    /// The token's algorithm is none that the issuer or the key may use.
    #[error("issuer `{issuer}` may not use the token's algorithm with this key")]
    AlgorithmNotAllowed {
        /// The issuer.
        issuer: IssuerName,
    },
    /// The token itself is refused.
    #[error("token of issuer `{issuer}`: {source}")]
    Token {
        /// The issuer.
        issuer: IssuerName,
        /// What is wrong with the token.
        #[source]
        source: TokenError,
    },
}

impl IssuerError {
    /// The stable code of the refusal.
    #[must_use]
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::UnknownIssuer => ReasonCode::UnknownIssuer,
            Self::UnknownKey { .. } => ReasonCode::UnknownKid,
            Self::KeysUnavailable { .. } => ReasonCode::JwksUnavailable,
            Self::AudienceNotTrusted { .. } => ReasonCode::WrongAudience,
            Self::AlgorithmNotAllowed { .. } => ReasonCode::AlgNotAllowed,
            Self::Token { source, .. } => source.reason_code(),
        }
    }

    /// Whether the caller is not to blame.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        match self {
            Self::KeysUnavailable { .. } | Self::AudienceNotTrusted { .. } => true,
            Self::UnknownIssuer | Self::UnknownKey { .. } | Self::AlgorithmNotAllowed { .. } => false,
            Self::Token { source, .. } => source.is_our_fault(),
        }
    }
}
