//! A recorded decision as the admin sockets show it and `symbolon explain` prints it.
//! Not here: taking the decision, or finding out why.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use symbolon_identity::{DecisionId, ReasonCode, Timestamp};

use crate::Stage;

/// How a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Granted or admitted.
    Allowed,
    /// A policy said no, or none said yes.
    Denied,
    /// Refused before or beside policy: malformed, unproven, unavailable.
    Refused,
}

/// One decision with everything that an operator may see of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionDocument {
    /// The id that the caller was given.
    pub id: DecisionId,
    /// When it was taken.
    pub time: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// One sentence for operators; may name internal values that the caller was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Who asked, as far as it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// What was asked for: a resource or a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The stages that it went through, in order; empty if the program has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
    /// Policies that decided, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Policies that nearly decided otherwise, and what was missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near_misses: Vec<NearMiss>,
    /// The verified facts of the question, for reading.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub facts: Value,
}

/// A policy whose head fits the question but whose condition does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearMiss {
    /// The policy's id.
    pub policy: String,
    /// The parts of its condition that did not hold.
    pub failed: Vec<Atom>,
}

/// One part of a condition, with what it wanted and what it saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Atom {
    /// The part as it stands in the policy.
    pub condition: String,
    /// The value that it wanted, if it compares with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The value that it saw; `absent` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}
