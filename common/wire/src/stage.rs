//! The stages that a decision went through, in order, with the one that stopped it.
//! Not here: what each stage checks.

use serde::{Deserialize, Serialize};

/// One stage of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name, such as `verify`.
    pub stage: String,
    /// What became of it.
    pub outcome: StageOutcome,
    /// Its `when`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// One sentence for operators, if it stopped the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The value that it wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The value that it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

/// What became of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    /// The request went on.
    Passed,
    /// Its condition did not hold, so it was not asked.
    Skipped,
    /// It ended the request.
    Stopped,
    /// The request had ended before.
    NotReached,
}

impl Stage {
    /// A stage and what became of it.
    #[must_use]
    pub fn new(stage: impl Into<String>, outcome: StageOutcome) -> Self {
        Self { stage: stage.into(), outcome, when: None, detail: None, expected: None, actual: None }
    }
}
