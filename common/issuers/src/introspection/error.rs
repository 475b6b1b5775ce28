//! Why an opaque token is refused, or its issuer does not say what it stands for.
//! Not here: what the caller is answered; the program has one map for that.

use std::time::Duration;

use symbolon_http::client::ClientError;
use symbolon_identity::{IssuerName, ReasonCode};
use symbolon_jws::strict_json::StrictJsonError;
use symbolon_token::{TokenError, TokenHash};

use crate::FetchError;

/// Why there is no introspected token.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectionError {
    /// The issuer says that the token is not active: it is over, was revoked, was never issued, or is not for us.
    #[error("issuer `{issuer}` says that token {token} is not active")]
    Inactive {
        /// The issuer.
        issuer: IssuerName,
        /// The token.
        token: TokenHash,
    },
    /// The token is active, and what the issuer says of it is not enough.
    #[error("what issuer `{issuer}` says of the token: {source}")]
    Token {
        /// The issuer.
        issuer: IssuerName,
        /// What is wrong.
        #[source]
        source: TokenError,
    },
    /// The issuer was asked, and gave no answer that can be used.
    #[error("issuer `{issuer}` does not say what its token stands for")]
    Unavailable {
        /// The issuer.
        issuer: IssuerName,
        /// When it is worth trying again.
        retry_after: Duration,
        /// What happened.
        #[source]
        source: IntrospectionFailure,
    },
    /// The issuer failed several times in a row and is not asked for a while.
    #[error("issuer `{issuer}` failed several times in a row and is not asked now")]
    Resting {
        /// The issuer.
        issuer: IssuerName,
        /// When it is asked again.
        retry_after: Duration,
    },
    /// The issuer is asked as much as it may be.
    #[error("issuer `{issuer}` is asked as often as it may be")]
    Busy {
        /// The issuer.
        issuer: IssuerName,
        /// When it is worth trying again.
        retry_after: Duration,
    },
}

/// Why an introspection endpoint gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectionFailure {
    /// The endpoint could not be discovered.
    #[error("its introspection endpoint is not known")]
    Discovery(#[from] FetchError),
    /// There is no answer, or it is too large.
    #[error("no answer that can be read")]
    Http(#[from] ClientError),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// Our credentials cannot stand in a header.
    #[error("our credentials cannot be sent")]
    Credential,
    /// Another status than 200; 401 means that our credentials are not taken. Redirects are not followed.
    #[error("it answers with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The answer is not `application/json`.
    #[error("its answer is not `application/json`")]
    ContentType,
    /// The answer is not a JSON object that can be read in one way only.
    #[error("its answer is refused")]
    Json(#[source] StrictJsonError),
    /// `active` is missing, or no boolean.
    #[error("its answer has no boolean `active`")]
    Active,
    /// The answer about a JWT does not say what the JWT says.
    #[error("its answer contradicts the token: `{member}`")]
    Contradiction {
        /// The member.
        member: &'static str,
    },
}

impl IntrospectionError {
    /// The stable code of the refusal.
    #[must_use]
    pub fn reason_code(&self) -> ReasonCode {
        match self {
            Self::Inactive { .. } => ReasonCode::Inactive,
            Self::Token { source, .. } => source.reason_code(),
            Self::Unavailable { .. } | Self::Resting { .. } => ReasonCode::IssuerUnavailable,
            Self::Busy { .. } => ReasonCode::Busy,
        }
    }

    /// When it is worth trying again, if it is an outage rather than the token's fault.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. }
            | Self::Resting { retry_after, .. }
            | Self::Busy { retry_after, .. } => Some(*retry_after),
            Self::Inactive { .. } | Self::Token { .. } => None,
        }
    }

    /// Whether the issuer was asked.
    #[must_use]
    pub const fn was_asked(&self) -> bool {
        match self {
            Self::Inactive { .. } | Self::Token { .. } | Self::Unavailable { .. } => true,
            Self::Resting { .. } | Self::Busy { .. } => false,
        }
    }

    /// Whether the caller is not to blame.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        match self {
            Self::Unavailable { source, .. } => !source.may_be_the_tokens(),
            Self::Resting { .. } | Self::Busy { .. } => true,
            Self::Inactive { .. } | Self::Token { .. } => false,
        }
    }

    /// Whether this may have come of the token that the caller chose: also an answer that cannot be used, which a token that
    /// the issuer cannot take may bring about again and again.
    #[must_use]
    pub const fn may_come_of_the_token(&self) -> bool {
        match self {
            Self::Inactive { .. } | Self::Token { .. } => true,
            Self::Unavailable { source, .. } => source.may_have_been_shown(),
            Self::Resting { .. } | Self::Busy { .. } => false,
        }
    }

    /// A word for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Inactive { .. } => "inactive",
            Self::Token { .. } => "refused",
            Self::Unavailable { source, .. } => source.kind(),
            Self::Resting { .. } => "resting",
            Self::Busy { .. } => "busy",
        }
    }
}

impl IntrospectionFailure {
    /// Whether another token might have got an answer: a firewall before the endpoint may refuse an odd one. Any other
    /// status is about us or the endpoint: 404 says that it has moved, 401 and 403 that we may not ask.
    #[must_use]
    pub const fn may_be_the_tokens(&self) -> bool {
        matches!(self, Self::Status { status: 400 | 413 | 414 | 422 })
    }

    /// Whether the token was perhaps shown to the issuer, so that what came of it may be its doing.
    const fn may_have_been_shown(&self) -> bool {
        match self {
            Self::Discovery(_) | Self::Credential => false,
            Self::Http(error) => match error {
                ClientError::UserInformation
                | ClientError::UnsupportedScheme { .. }
                | ClientError::Plaintext
                | ClientError::AddressRefused { .. }
                | ClientError::Tls(_)
                | ClientError::Connect(_) => false,
                ClientError::TimedOut(_) | ClientError::TooLarge { .. } | ClientError::Broken(_) => true,
            },
            Self::TimedOut
            | Self::Status { .. }
            | Self::ContentType
            | Self::Json(_)
            | Self::Active
            | Self::Contradiction { .. } => true,
        }
    }

    /// A word for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Discovery(_) => "undiscovered",
            Self::Http(ClientError::TimedOut(_)) | Self::TimedOut => "timed_out",
            Self::Http(_) => "unreachable",
            Self::Credential => "credential",
            Self::Status { .. } => "status",
            Self::ContentType | Self::Json(_) | Self::Active | Self::Contradiction { .. } => "malformed",
        }
    }
}
