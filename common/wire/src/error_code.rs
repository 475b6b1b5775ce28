//! OAuth errors as they are sent.
//! Not here: which refusal becomes which error; the broker's one map says that.

use std::fmt;

use serde::{Deserialize, Serialize};
use symbolon_identity::{DecisionId, ReasonCode};

/// The `error` of an OAuth answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// RFC 6749 §4.1.2.1, used for `client_credentials` that policy denies.
    AccessDenied,
    /// RFC 6749 §5.2: client authentication (here: the evidence) failed.
    InvalidClient,
    /// RFC 9449 §5.
    InvalidDpopProof,
    /// RFC 6749 §5.2.
    InvalidRequest,
    /// RFC 6749 §5.2.
    InvalidScope,
    /// RFC 8707 §2.
    InvalidTarget,
    /// RFC 6749 §4.1.2.1: an outage of ours, with status 503.
    TemporarilyUnavailable,
    /// RFC 6749 §5.2.
    UnauthorizedClient,
    /// RFC 6749 §5.2.
    UnsupportedGrantType,
    /// RFC 7009 §2.2.1; a token of a kind that we do not take or make.
    UnsupportedTokenType,
    /// RFC 9449 §8.
    UseDpopNonce,
}

/// As it is sent.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A refusal of the token endpoint (RFC 6749 §5.2) with our two additions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthError {
    /// The OAuth code.
    pub error: ErrorCode,
    /// Starts with the stable reason code: `<code>: <advice>`.
    pub error_description: String,
    /// Where the reason code is explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_uri: Option<String>,
    /// Under which id the operator finds the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
}

impl OAuthError {
    /// The error for a reason, described by its advice and nothing that a stranger sent.
    #[must_use]
    pub fn new(error: ErrorCode, reason: ReasonCode, decision_id: Option<DecisionId>) -> Self {
        Self {
            error,
            error_description: format!("{reason}: {}", reason.advice()),
            error_uri: Some(crate::error_uri(reason)),
            decision_id,
        }
    }

    /// The reason code at the start of the description, if there is a known one.
    #[must_use]
    pub fn reason(&self) -> Option<ReasonCode> {
        let code = self.error_description.split_once(':').map_or(&*self.error_description, |(code, _)| code);
        code.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_as_it_is_sent() {
        assert_eq!(ErrorCode::InvalidDpopProof.to_string(), "invalid_dpop_proof");
    }

    #[test]
    fn the_description_starts_with_the_reason_code() {
        let error = OAuthError::new(ErrorCode::AccessDenied, ReasonCode::Denied, None);
        let text = serde_json::to_string(&error).unwrap();
        assert!(text.starts_with(r#"{"error":"access_denied","error_description":"denied: "#), "{text}");
        assert_eq!(serde_json::from_str::<OAuthError>(&text).unwrap().reason(), Some(ReasonCode::Denied));
    }
}
