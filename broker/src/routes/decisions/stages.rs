//! The stages of a token request, in order, with the one that stopped it.
//! Not here: why a policy denied it (`document`). A stranger's request has no record, so it has no stages either.

use symbolon_identity::ReasonCode;
use symbolon_wire::{Outcome, Stage, StageOutcome};

use crate::policies::CurrentSet;
use crate::record::DecisionRecord;

/// So much of a fingerprint tells sets apart for people.
const SHORT: usize = 8;

/// All stages.
pub(super) fn stages(record: &DecisionRecord, policies: &CurrentSet) -> Vec<Stage> {
    let details = [
        ("received", Some(received(record))),
        ("evidence", Some(evidence(record))),
        ("caller", Some(caller(record))),
        ("target", target(record)),
        ("policy", policy(record, policies)),
        ("token", token(record)),
    ];
    let stop = stopped_by(record);
    let mut reached = true;
    let stage = |(name, detail): (&str, Option<String>)| {
        let stops = stop == Some(name);
        let outcome = match (stops, reached) {
            (true, _) => StageOutcome::Stopped,
            (false, true) => StageOutcome::Passed,
            (false, false) => StageOutcome::NotReached,
        };
        let detail = if reached { detail } else { None };
        reached &= !stops;
        let why = stops.then(|| record.detail.clone()).flatten();
        Stage { detail: why.or(detail), ..Stage::new(name, outcome) }
    };
    details.into_iter().map(stage).collect()
}

/// The stage that a refusal of an attested caller comes from.
fn stopped_by(record: &DecisionRecord) -> Option<&'static str> {
    match (record.outcome, record.reason?) {
        (Outcome::Allowed, _) => None,
        (Outcome::Denied, _) | (_, ReasonCode::Denied | ReasonCode::Undetermined) => Some("policy"),
        (_, ReasonCode::EvidenceReplayed | ReasonCode::EvidenceKeyMismatch) => Some("evidence"),
        (_, ReasonCode::GroupUndetermined) => Some("caller"),
        (_, ReasonCode::ProofReplayed) => Some("received"),
        _ if record.questions.is_empty() => Some("target"),
        _ => Some("token"),
    }
}

fn received(record: &DecisionRecord) -> String {
    let source =
        record.source.map_or_else(|| "the attestation socket".to_owned(), |source| source.to_string());
    format!("from {source}")
}

fn evidence(record: &DecisionRecord) -> String {
    let age = record.questions.first().and_then(|question| question.context.evidence_age);
    let age = age.map_or_else(String::new, |age| format!(", {} s old", age.as_secs()));
    let key = record.key.map_or_else(String::new, |key| format!(", key {key}"));
    format!("{} by trust provider `{}`{age}{key}", record.method.as_str(), record.caller.provider)
}

fn caller(record: &DecisionRecord) -> String {
    let groups: Vec<&str> = record.caller.groups.iter().map(AsRef::as_ref).collect();
    let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
    format!("{}, in {groups}", record.caller.id)
}

fn target(record: &DecisionRecord) -> Option<String> {
    if record.resources.is_empty() {
        return None;
    }
    Some(format!("resource `{}`, scope \"{}\"", record.target_name(), record.scopes))
}

fn policy(record: &DecisionRecord, policies: &CurrentSet) -> Option<String> {
    let set = record.policy_set.as_deref()?;
    let short = set.get(..SHORT).unwrap_or(set);
    let now = if set == policies.fingerprint() { "" } else { ", other policies are in force now" };
    let ids: Vec<&str> = record.policies.iter().map(symbolon_policies::PolicyId::as_str).collect();
    let by = if ids.is_empty() { "no policy decided".to_owned() } else { format!("by {}", ids.join(", ")) };
    Some(format!("{by}; set {short}{now}"))
}

fn token(record: &DecisionRecord) -> Option<String> {
    let token = record.token.as_ref()?;
    let life = token.expires_at.saturating_since(record.time).as_secs();
    Some(format!("{life} s, until {}, bounded by {}", token.expires_at, token.bounded_by.as_str()))
}
