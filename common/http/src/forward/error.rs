//! Why a request was not forwarded, or came to nothing.
//! Not what the client is told: each program has one map for that.

use http::StatusCode;
use hyper_util::client::legacy::Error as ExchangeError;

use super::connector::ConnectError;
use super::upstream::{Upstream, UpstreamError};
use crate::body::BodyError;
use crate::client::cause;
use crate::streams::Ending;
use crate::target::MalformedRequest;
use crate::upgrade::UpgradeRefused;

/// Why there is no answer to pass back.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The request has no single clear meaning.
    #[error("the request is malformed")]
    Malformed(#[from] MalformedRequest),
    /// The request asks for another protocol.
    #[error(transparent)]
    UpgradeNotAllowed(#[from] UpgradeRefused),
    /// The request's body is larger than allowed.
    #[error("the request is larger than {limit} bytes")]
    TooLarge {
        /// The most that is allowed.
        limit: u64,
    },
    /// The client did not send all of its request.
    #[error("the client did not finish its request")]
    ClientAborted,
    /// Its holder lost the right to it before the answer began.
    #[error("the right to this request ended while it waited for its answer")]
    Ended(Ending),
    /// The path cannot be sent to this upstream.
    #[error("the request cannot be addressed to the upstream")]
    Address(#[from] UpstreamError),
    /// No connection, or it broke off before an answer.
    #[error("the upstream `{upstream}` is not available")]
    UpstreamUnavailable {
        /// Host and port.
        upstream: String,
        /// What happened.
        #[source]
        source: ExchangeError,
    },
    /// Too slow.
    #[error("the upstream `{upstream}` took too long to {}", stage.words())]
    UpstreamTimeout {
        /// Host and port.
        upstream: String,
        /// At what.
        stage: TimeoutStage,
    },
    /// As many requests as it may have are under way there.
    #[error("the upstream `{upstream}` has too many requests under way")]
    Busy {
        /// Host and port.
        upstream: String,
    },
    /// It answers, but not in HTTP as we asked.
    #[error("the upstream `{upstream}` does not answer in HTTP")]
    UpstreamProtocol {
        /// Host and port.
        upstream: String,
    },
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutStage {
    /// The connection, TLS included.
    Connect,
    /// The head of the answer.
    Answer,
}

impl TimeoutStage {
    const fn words(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Answer => "answer",
        }
    }
}

impl ForwardError {
    /// The stable reason code.
    #[must_use]
    pub const fn reason_code(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Address(_) | Self::ClientAborted => "malformed_request",
            Self::UpgradeNotAllowed(_) => "upgrade_not_allowed",
            Self::Ended(Ending::Expired) => "expired",
            Self::Ended(Ending::Revoked) => "revoked",
            Self::TooLarge { .. } => "too_large",
            Self::UpstreamUnavailable { .. } | Self::UpstreamProtocol { .. } => "upstream_unavailable",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::Busy { .. } | Self::Ended(Ending::Shutdown) => "busy",
        }
    }

    /// The status that fits.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Address(_) | Self::ClientAborted | Self::UpgradeNotAllowed(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Ended(Ending::Expired | Ending::Revoked) => StatusCode::UNAUTHORIZED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UpstreamUnavailable { .. } | Self::UpstreamProtocol { .. } => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy { .. } | Self::Ended(Ending::Shutdown) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether our side, upstream included, is to blame rather than the client.
    #[must_use]
    pub const fn is_our_fault(&self) -> bool {
        match self {
            Self::Malformed(_)
            | Self::UpgradeNotAllowed(_)
            | Self::TooLarge { .. }
            | Self::ClientAborted
            | Self::Ended(_)
            | Self::Address(_) => false,
            Self::UpstreamUnavailable { .. }
            | Self::UpstreamTimeout { .. }
            | Self::Busy { .. }
            | Self::UpstreamProtocol { .. } => true,
        }
    }

    pub(super) fn timeout(upstream: &Upstream, stage: TimeoutStage) -> Self {
        Self::UpstreamTimeout { upstream: upstream.authority().to_owned(), stage }
    }

    pub(super) fn busy(upstream: &Upstream) -> Self {
        Self::Busy { upstream: upstream.authority().to_owned() }
    }

    pub(super) fn protocol(upstream: &Upstream) -> Self {
        Self::UpstreamProtocol { upstream: upstream.authority().to_owned() }
    }

    /// Finds out what happened.
    pub(super) fn classify(upstream: &Upstream, source: ExchangeError) -> Self {
        match cause::<BodyError>(&source) {
            Some(BodyError::TooLarge { limit }) => return Self::TooLarge { limit: *limit },
            Some(BodyError::Broken(_) | BodyError::Stalled { .. }) => return Self::ClientAborted,
            Some(BodyError::Ended(ending)) => return Self::Ended(*ending),
            // Cut because nobody waits for the answer: then nobody is told.
            Some(BodyError::Unwanted) | None => {}
        }
        if let Some(ConnectError::TimedOut) = cause::<ConnectError>(&source) {
            return Self::timeout(upstream, TimeoutStage::Connect);
        }
        if cause::<hyper::Error>(&source).is_some_and(hyper::Error::is_parse) {
            return Self::protocol(upstream);
        }
        Self::UpstreamUnavailable { upstream: upstream.authority().to_owned(), source }
    }
}
