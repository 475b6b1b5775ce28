//! A denial by policy, explained: which policies nearly permitted it, and what was missing.
//! Not here: finding that out (`symbolon-policies`). It costs milliseconds, which the reader pays.

use std::sync::Arc;

use serde_json::{Value, json};
use symbolon_policies::{Condition, ExplainedPolicy, Explanation, Verdict};
use symbolon_wire::{Atom, NearMiss};

use crate::policies::PolicyFolder;
use crate::stages::authorize::Denied;

/// What there is to say about a denial.
#[derive(Debug, Default)]
pub(super) struct Explained {
    /// The policies that denied it.
    pub(super) policies: Vec<String>,
    /// The forbids that applied or could not be evaluated.
    pub(super) forbids: Vec<NearMiss>,
    /// The permits that did not apply, nearest first.
    pub(super) near_misses: Vec<NearMiss>,
    /// The conditions that would have to change, if one or two are enough.
    pub(super) smallest_change: Vec<String>,
    /// The question, and which policies answered it.
    pub(super) question: Value,
}

impl Explained {
    /// Puts the question again, to the policies that are in force now in the same folder.
    pub(super) fn of(denied: &Denied, folders: &[Arc<PolicyFolder>]) -> Self {
        let folder = folders.iter().find(|folder| folder.path() == denied.folder);
        let current = folder.map(|folder| folder.current());
        let explanation = current.as_ref().map(|current| current.set.explain(&denied.question));
        let explained = explanation.iter();
        let same = current.as_ref().is_some_and(|current| current.fingerprint == denied.policy_set);
        let denial = &denied.denial;
        Self {
            policies: denial.policies().iter().map(ToString::to_string).collect(),
            forbids: explained.clone().flat_map(|it| it.forbids().map(near_miss)).collect(),
            near_misses: explained.flat_map(|it| it.near_misses().map(near_miss)).collect(),
            smallest_change: explanation.as_ref().and_then(Explanation::smallest_change).unwrap_or_default(),
            question: json!({
                "folder": denied.folder.display().to_string(),
                "policy_set": denied.policy_set.as_ref(),
                "policies_changed_since": !same,
                "denial": denial.kind(),
                "notes": denial.notes(),
                "shadow": denial.shadow(),
                "failed_to_evaluate": denial.errors(),
                "question": denied.question,
            }),
        }
    }
}

fn near_miss(policy: &ExplainedPolicy) -> NearMiss {
    NearMiss {
        policy: policy.id.as_str().to_owned(),
        place: Some(format!("{}:{}", policy.file, policy.line)),
        owner: policy.notes.owner.clone(),
        reason: policy.notes.reason.clone(),
        runbook: policy.notes.runbook.clone(),
        held: policy.conditions.iter().filter(|it| it.verdict == Verdict::Holds).map(atom).collect(),
        failed: policy.failed().map(atom).collect(),
    }
}

fn atom(condition: &Condition) -> Atom {
    let actual = match &condition.verdict {
        Verdict::Error(message) => Some(format!("error: {message}")),
        Verdict::NotReached => Some("not reached".to_owned()),
        Verdict::Holds | Verdict::Fails => condition.actual.clone(),
    };
    Atom {
        condition: condition.text.clone(),
        expected: condition.expected.clone(),
        actual,
        ..Atom::default()
    }
}
