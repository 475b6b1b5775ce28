//! What the policies answered.
//! Not here: how it is reached (`set`), and which conditions failed (`explain`).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// At least one policy permits it, none forbids it, and no `forbid` failed to evaluate.
    Permit(Permit),
    /// Everything else.
    Denial(Denial),
}

impl Decision {
    /// Whether it is a permit.
    #[must_use]
    pub fn is_permit(&self) -> bool {
        matches!(self, Self::Permit(_))
    }

    /// What the policies in shadow mode would have changed; none if nothing.
    #[must_use]
    pub fn shadow(&self) -> Option<&Shadow> {
        match self {
            Self::Permit(permit) => permit.shadow.as_ref(),
            Self::Denial(denial) => denial.shadow.as_ref(),
        }
    }

    pub(crate) fn set_shadow(&mut self, would: Option<Shadow>) {
        match self {
            Self::Permit(permit) => permit.shadow = would,
            Self::Denial(denial) => denial.shadow = would,
        }
    }

    /// The permit, or the denial as an error.
    ///
    /// # Errors
    /// The [`Denial`], if the policies did not permit it.
    pub fn into_result(self) -> Result<Permit, Denial> {
        match self {
            Self::Permit(permit) => Ok(permit),
            Self::Denial(denial) => Err(denial),
        }
    }
}

/// What the policies with `@mode("shadow")` would have changed if they were enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shadow {
    /// It is denied, and would have been permitted.
    WouldPermit {
        /// The policies that would have permitted it.
        policies: Vec<PolicyId>,
    },
    /// It is permitted, and would have been denied.
    WouldDeny {
        /// Why.
        kind: DenialKind,
        /// The policies that would have denied it.
        policies: Vec<PolicyId>,
    },
}

impl Shadow {
    /// The policies that would have decided.
    #[must_use]
    pub fn policies(&self) -> &[PolicyId] {
        match self {
            Self::WouldPermit { policies } | Self::WouldDeny { policies, .. } => policies,
        }
    }

    /// The word used in records and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::WouldPermit { .. } => "would_permit",
            Self::WouldDeny { .. } => "would_deny",
        }
    }
}

/// The value of a policy's `@id`, unique in its set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyId(pub(crate) Arc<str>);

impl PolicyId {
    /// The text of the `@id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PolicyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Proof that policy permitted one question; only a [`PolicySet`](crate::PolicySet) makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    pub(crate) policies: Vec<PolicyId>,
    pub(crate) ceiling: Option<Duration>,
    pub(crate) max_actors: Option<u32>,
    pub(crate) errors: Vec<PolicyId>,
    pub(crate) shadow: Option<Shadow>,
}

impl Permit {
    /// The policies that permitted it, in alphabetical order.
    #[must_use]
    pub fn policies(&self) -> &[PolicyId] {
        &self.policies
    }

    /// The longest life that a token may have by these policies: the smallest `@ttl` among them.
    #[must_use]
    pub fn ceiling(&self) -> Option<Duration> {
        self.ceiling
    }

    /// The most actors that a token may name by these policies: the smallest `@max_actors` among them.
    #[must_use]
    pub fn max_actors(&self) -> Option<u32> {
        self.max_actors
    }

    /// What the policies in shadow mode would have changed.
    #[must_use]
    pub fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_ref()
    }

    /// The `permit` policies that failed to evaluate and therefore did not count.
    #[must_use]
    pub fn errors(&self) -> &[PolicyId] {
        &self.errors
    }
}

/// Why a question was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialKind {
    /// No policy permits it.
    NoPermit,
    /// At least one policy forbids it.
    Forbidden,
    /// A `forbid` failed to evaluate, or the question could not be put to the policies.
    Error,
}

impl DenialKind {
    /// The word used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPermit => "no_permit",
            Self::Forbidden => "forbidden",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for DenialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPermit => "no policy permits it",
            Self::Forbidden => "a policy forbids it",
            Self::Error => "a forbidding policy could not be evaluated",
        })
    }
}

/// A denial by policy: for the operator's side only, the caller learns no more than that it is denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("denied: {kind}")]
pub struct Denial {
    pub(crate) kind: DenialKind,
    pub(crate) policies: Vec<PolicyId>,
    pub(crate) errors: Vec<PolicyId>,
    pub(crate) notes: Box<Notes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shadow: Option<Shadow>,
}

impl Denial {
    /// Why it was denied.
    #[must_use]
    pub fn kind(&self) -> DenialKind {
        self.kind
    }

    /// The policies that forbade it, or that failed to evaluate; empty if simply none permitted it.
    #[must_use]
    pub fn policies(&self) -> &[PolicyId] {
        &self.policies
    }

    /// All policies that failed to evaluate, permits too.
    #[must_use]
    pub fn errors(&self) -> &[PolicyId] {
        &self.errors
    }

    /// What the policies in shadow mode would have changed.
    #[must_use]
    pub fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_ref()
    }

    /// What the first deciding policy says about itself.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        &self.notes
    }
}

/// What a policy says about itself, for the person who has to act on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// `@owner`: who can change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `@reason`: why it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `@runbook`: where to read what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}
