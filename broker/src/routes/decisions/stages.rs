//! The stages of a token request, in order, with the one that stopped it.
//! Not here: why a policy denied it (`document`). A stranger's request has no record, so it has no stages either.

use symbolon_identity::ReasonCode;
use symbolon_wire::{Outcome, Stage, StageOutcome};

use crate::policies::CurrentSet;
use crate::record::DecisionRecord;
use crate::refusal::StageName;

/// So much of a fingerprint tells sets apart for people.
const SHORT: usize = 8;

/// All stages.
pub(super) fn stages(record: &DecisionRecord, policies: &CurrentSet) -> Vec<Stage> {
    let stop = stopped_by(record);
    let is_exchange =
        record.exchange.is_some() || matches!(stop, Some(StageName::Subject | StageName::Actor));
    let mut reached = true;
    let stage = |name: StageName| {
        let detail = detail(name, record, policies);
        let stops = stop == Some(name);
        let outcome = match (stops, reached) {
            (true, _) => StageOutcome::Stopped,
            (false, true) => StageOutcome::Passed,
            (false, false) => StageOutcome::NotReached,
        };
        let detail = if reached { detail } else { None };
        reached &= !stops;
        let advice = || record.reason.map(|reason| reason.advice().to_owned());
        let why = stops.then(|| record.detail.clone().or_else(advice)).flatten();
        Stage { detail: why.or(detail), ..Stage::new(name.as_str(), outcome) }
    };
    let of_exchange = |name: &StageName| matches!(name, StageName::Subject | StageName::Actor);
    StageName::ALL.into_iter().filter(|name| is_exchange || !of_exchange(name)).map(stage).collect()
}

fn detail(name: StageName, record: &DecisionRecord, policies: &CurrentSet) -> Option<String> {
    match name {
        StageName::Received => Some(received(record)),
        StageName::Evidence => Some(evidence(record)),
        StageName::Caller => Some(caller(record)),
        StageName::Subject => subject(record),
        StageName::Actor => actors(record),
        StageName::Target => target(record),
        StageName::Policy => policy(record, policies),
        StageName::Token => token(record),
    }
}

/// The stage that a refusal of an attested caller comes from.
fn stopped_by(record: &DecisionRecord) -> Option<StageName> {
    if record.outcome == Outcome::Allowed {
        return None;
    }
    record.stage.or_else(|| inferred(record))
}

/// The stage of a record from before it was noted.
fn inferred(record: &DecisionRecord) -> Option<StageName> {
    match (record.outcome, record.reason?) {
        (Outcome::Denied, _) | (_, ReasonCode::Denied | ReasonCode::Undetermined) => Some(StageName::Policy),
        (_, ReasonCode::EvidenceReplayed | ReasonCode::EvidenceKeyMismatch) => Some(StageName::Evidence),
        (_, ReasonCode::GroupUndetermined) => Some(StageName::Caller),
        (_, ReasonCode::ProofReplayed) => Some(StageName::Received),
        _ if record.questions.is_empty() => Some(StageName::Target),
        _ => Some(StageName::Token),
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

fn subject(record: &DecisionRecord) -> Option<String> {
    let exchange = record.exchange.as_ref()?;
    Some(format!("{} of {}", exchange.subject, exchange.issuer))
}

fn actors(record: &DecisionRecord) -> Option<String> {
    let actors = &record.exchange.as_ref()?.actors;
    let earlier = if actors.is_empty() { "nobody".to_owned() } else { actors.join(", ") };
    Some(format!("the subject's token names {earlier}"))
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
