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
    /// The policies that forbid it, and what of them holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbids: Vec<NearMiss>,
    /// Policies that nearly decided otherwise, and what was missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near_misses: Vec<NearMiss>,
    /// The conditions that would have to change for it to be allowed, if one or two are enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smallest_change: Vec<String>,
    /// What the policies were asked, so that others can be asked the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Value>,
    /// The verified facts of the question, for reading.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub facts: Value,
}

impl DecisionDocument {
    /// A document that says nothing but how it ended.
    #[must_use]
    pub fn new(id: DecisionId, time: Timestamp, outcome: Outcome) -> Self {
        Self {
            id,
            time,
            outcome,
            reason: None,
            detail: None,
            workload: None,
            target: None,
            stages: Vec::new(),
            policies: Vec::new(),
            forbids: Vec::new(),
            near_misses: Vec::new(),
            smallest_change: Vec::new(),
            questions: Vec::new(),
            facts: Value::Null,
        }
    }
}

/// A policy whose head fits the question, with its conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearMiss {
    /// The policy's id.
    pub policy: String,
    /// Where it stands, as `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Who can change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Why it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where to read what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The parts of its condition that held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Atom>,
    /// The parts of its condition that did not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Atom>,
}

/// One part of a condition, with what it wanted and what it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Atom {
    /// The part as it stands in the policy.
    pub condition: String,
    /// The value that it wanted, if it compares with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The value that it saw; `absent` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// Who vouched for the value that it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How old that value was, in seconds, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
}

/// A decision as the workload that it is about may see it: nothing of the policies but whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnDecision {
    /// The id that the caller was given.
    pub id: DecisionId,
    /// When it was taken.
    pub time: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// The attributes whose values did not satisfy the nearest policy, without the values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// Who can change the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where to read what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

/// A recent decision in a list: enough to ask other policies the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecentDecision {
    /// The id that the caller was given.
    pub id: DecisionId,
    /// How it ended.
    pub outcome: Outcome,
    /// Who asked.
    pub workload: String,
    /// What was asked for.
    pub target: String,
    /// What the policies were asked.
    pub questions: Vec<Value>,
}
