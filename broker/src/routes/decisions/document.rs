//! A record as the document that operators read: its stages, and what the policies in force now say about it.
//! Not here: who may read it.

use serde_json::{Value, json};
use symbolon_identity::ReasonCode;
use symbolon_policies::{Action, Condition, ExplainedPolicy, Explanation, Question, Verdict};
use symbolon_wire::{Atom, DecisionDocument, NearMiss, Outcome, RecentDecision};

use super::sources::Source;
use super::stages::stages;
use crate::policies::CurrentSet;
use crate::record::DecisionRecord;

/// The whole document.
pub(super) fn of(record: &DecisionRecord, policies: &CurrentSet) -> DecisionDocument {
    let mut document = DecisionDocument {
        reason: record.reason,
        detail: record.detail.clone(),
        workload: Some(record.caller.id.as_str().to_owned()),
        target: Some(record.target_name()),
        stages: stages(record, policies),
        policies: record.policies.iter().map(|policy| policy.as_str().to_owned()).collect(),
        questions: record.questions.iter().map(recorded).collect(),
        facts: facts(record, policies),
        ..DecisionDocument::new(record.id.clone(), record.time, record.outcome)
    };
    for (question, explanation) in denied(record, policies) {
        add(&mut document.forbids, explanation.forbids().map(|policy| near_miss(policy, question, record)));
        add(
            &mut document.near_misses,
            explanation.near_misses().map(|policy| near_miss(policy, question, record)),
        );
        if document.smallest_change.is_empty() {
            document.smallest_change = explanation.smallest_change().unwrap_or_default();
        }
    }
    document
}

/// The questions of a denial that the policies in force now deny, explained. Who may not present a token is refused
/// because policies say of none of its audiences that the caller operates it.
pub(super) fn denied<'a>(
    record: &'a DecisionRecord,
    policies: &CurrentSet,
) -> Vec<(&'a Question, Explanation)> {
    let is_about = |question: &&Question| match record.outcome {
        Outcome::Allowed => false,
        Outcome::Denied => true,
        Outcome::Refused => {
            record.reason == Some(ReasonCode::SubjectNotAddressed)
                && matches!(question.action, Action::Operate { .. })
        }
    };
    let questions = record.questions.iter().filter(is_about);
    let explained = questions.map(|question| (question, policies.set().explain(question)));
    explained.filter(|(_, explanation)| !explanation.permitted).collect()
}

/// Enough of a record to ask other policies the same.
pub(super) fn brief(record: &DecisionRecord) -> RecentDecision {
    RecentDecision {
        id: record.id.clone(),
        outcome: record.outcome,
        workload: record.caller.id.as_str().to_owned(),
        target: record.target_name(),
        questions: record.questions.iter().map(recorded).collect(),
    }
}

fn recorded(question: &Question) -> Value {
    // INVARIANT: it was read from JSON.
    serde_json::to_value(question).unwrap_or_default()
}

fn facts(record: &DecisionRecord, policies: &CurrentSet) -> Value {
    let same_set = record.policy_set.as_deref() == Some(policies.fingerprint());
    json!({
        "principal": record.caller,
        "method": record.method,
        "key": record.key,
        "scopes": record.scopes,
        "exchange": record.exchange,
        "failed_policies": record.failed_policies,
        "context": record.questions.first().map(|question| &question.context),
        "token": record.token,
        "policy_set": record.policy_set,
        "shadow": record.shadow,
        "policies_changed_since": record.policy_set.is_some() && !same_set,
    })
}

fn add(known: &mut Vec<NearMiss>, found: impl Iterator<Item = NearMiss>) {
    for miss in found {
        if !known.contains(&miss) {
            known.push(miss);
        }
    }
}

fn near_miss(policy: &ExplainedPolicy, question: &Question, record: &DecisionRecord) -> NearMiss {
    let atoms = |held: bool| {
        let some = policy.conditions.iter().filter(move |it| (it.verdict == Verdict::Holds) == held);
        some.map(|condition| atom(condition, question, record)).collect()
    };
    NearMiss {
        policy: policy.id.as_str().to_owned(),
        place: Some(format!("{}:{}", policy.file, policy.line)),
        owner: policy.notes.owner.clone(),
        reason: policy.notes.reason.clone(),
        runbook: policy.notes.runbook.clone(),
        held: atoms(true),
        failed: atoms(false),
    }
}

fn atom(condition: &Condition, question: &Question, record: &DecisionRecord) -> Atom {
    let actual = match &condition.verdict {
        Verdict::Error(message) => Some(format!("error: {message}")),
        Verdict::NotReached => Some("not reached".to_owned()),
        Verdict::Holds | Verdict::Fails => condition.actual.clone(),
    };
    let source = condition.about.as_deref().map(|about| Source::of(about, question, record));
    let (source, age) = source.map_or((None, None), |source| (Some(source.name), source.age));
    Atom { condition: condition.text.clone(), expected: condition.expected.clone(), actual, source, age }
}
