//! Refusals of the gateway and the sidecar as problem documents.
//! Not here: OAuth errors of the broker.

use serde::{Deserialize, Serialize};
use symbolon_identity::{DecisionId, ReasonCode};

/// A problem document (RFC 9457) with the reason code and the decision id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// What to do next, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable reason code.
    pub code: ReasonCode,
    /// Under which id the operator finds the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
}

impl Problem {
    /// The media type of the document.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// The problem for a reason.
    #[must_use]
    pub fn new(status: u16, code: ReasonCode, decision_id: Option<DecisionId>) -> Self {
        Self { kind: crate::error_uri(code), title: code.advice().to_owned(), status, code, decision_id }
    }
}
