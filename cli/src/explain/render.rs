//! A decision as a page of text for people.
//! Not here: the JSON and YAML forms, which are the document itself.

use std::fmt::Write as _;

use serde_json::Value;
use symbolon_wire::{Atom, DecisionDocument, NearMiss, Outcome, Stage, StageOutcome};

/// The page.
pub(super) fn page(document: &DecisionDocument) -> String {
    let mut text = String::new();
    // INVARIANT: writing to a String cannot fail.
    let _ = write_page(&mut text, document);
    text
}

fn write_page(text: &mut String, document: &DecisionDocument) -> std::fmt::Result {
    let word = match document.outcome {
        Outcome::Allowed => "ALLOWED",
        Outcome::Denied => "DENIED",
        Outcome::Refused => "REFUSED",
    };
    let who = document.workload.as_deref().unwrap_or("(nobody that was verified)");
    let what = document.target.as_deref().unwrap_or("(no known target)");
    writeln!(text, "{word}  {who} -> {what}   {}", document.time)?;
    document.stages.iter().try_for_each(|stage| write_stage(text, stage))?;
    if let Some(reason) = document.reason {
        writeln!(text, "  reason      {reason}: {}", reason.advice())?;
    }
    if let Some(detail) = &document.detail {
        writeln!(text, "  detail      {detail}")?;
    }
    if !document.policies.is_empty() {
        writeln!(text, "  policies    {}", document.policies.join(", "))?;
    }
    document.forbids.iter().try_for_each(|policy| write_policy(text, "forbids", policy))?;
    document.near_misses.iter().try_for_each(|policy| write_policy(text, "nearest", policy))?;
    if !document.smallest_change.is_empty() {
        writeln!(text, "  would be allowed if   {}", document.smallest_change.join("   and   "))?;
    }
    if !document.questions.is_empty() {
        writeln!(
            text,
            "  same question         symbolon policy simulate --decision {} --policies DIR",
            document.id
        )?;
    }
    if !document.facts.is_null() {
        writeln!(text, "  facts")?;
        write_facts(text, "", &document.facts)?;
    }
    Ok(())
}

fn write_stage(text: &mut String, stage: &Stage) -> std::fmt::Result {
    let mark = match stage.outcome {
        StageOutcome::Passed => "✓",
        StageOutcome::Stopped => "✗",
        StageOutcome::Skipped => "-",
        StageOutcome::NotReached => "·",
    };
    let detail = match (&stage.detail, stage.outcome) {
        (Some(detail), _) => detail.as_str(),
        (None, StageOutcome::NotReached) => "not reached",
        (None, StageOutcome::Skipped) => "skipped",
        (None, StageOutcome::Passed | StageOutcome::Stopped) => "",
    };
    let when = stage.when.as_ref().map_or_else(String::new, |when| format!("   when {when}"));
    let line = format!("  {mark} {:<10}{detail}{when}", stage.stage);
    writeln!(text, "{}", line.trim_end())
}

fn write_policy(text: &mut String, word: &str, policy: &NearMiss) -> std::fmt::Result {
    write!(text, "  {word}     {}", policy.policy)?;
    if let Some(place) = &policy.place {
        write!(text, "   {place}")?;
    }
    if let Some(owner) = &policy.owner {
        write!(text, "   owner {owner}")?;
    }
    let (held, all) = (policy.held.len(), policy.held.len() + policy.failed.len());
    writeln!(text, "   {held} of {all} hold")?;
    for (name, note) in [("because", &policy.reason), ("runbook", &policy.runbook)] {
        if let Some(note) = note {
            writeln!(text, "     {name}   {note}")?;
        }
    }
    for Atom { condition, .. } in &policy.held {
        writeln!(text, "     ✓ {condition}")?;
    }
    policy.failed.iter().try_for_each(|atom| write_failed(text, atom))
}

fn write_failed(text: &mut String, atom: &Atom) -> std::fmt::Result {
    writeln!(text, "     ✗ {}", atom.condition)?;
    if let Some(expected) = &atom.expected {
        writeln!(text, "         expected  {expected}")?;
    }
    let Some(actual) = &atom.actual else { return Ok(()) };
    write!(text, "         actual    {actual}")?;
    if let Some(source) = &atom.source {
        write!(text, "   from {source}")?;
    }
    match atom.age {
        Some(age) if age > 0 => writeln!(text, ", {age} s old"),
        Some(_) | None => writeln!(text),
    }
}

/// Facts as `path = value`, one a line.
fn write_facts(text: &mut String, path: &str, value: &Value) -> std::fmt::Result {
    match value {
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            let separator = if path.is_empty() { "" } else { "." };
            write_facts(text, &format!("{path}{separator}{name}"), member)
        }),
        Value::Null => Ok(()),
        scalar => writeln!(text, "     {path} = {scalar}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_denial_shows_stages_and_expected_and_actual_and_the_smallest_change() {
        let document: DecisionDocument = serde_json::from_value(json!({
            "id": "b-00000000000000000000000000", "time": 1_700_000_000, "outcome": "denied", "reason": "denied",
            "workload": "spiffe://dev.symbolon.local/local/uid/0", "target": "orders",
            "stages": [{"stage": "evidence", "outcome": "passed", "detail": "unix by trust provider `local`"},
                {"stage": "policy", "outcome": "stopped", "detail": "no policy decided"},
                {"stage": "token", "outcome": "not_reached"}],
            "near_misses": [{"policy": "sidecar-may-read-orders", "place": "orders.cedar:12", "owner": "team-orders",
                "held": [{"condition": "context.key_bound"}], "failed": [
                {"condition": "principal.unix.executable_sha256 == \"aa\"", "expected": "aa", "actual": "bb",
                 "source": "the kernel", "age": 41}]}],
            "smallest_change": ["principal.unix.executable_sha256 == \"aa\""],
            "questions": [{}],
            "facts": {"principal": {"unix": {"uid": 0}}, "token": null}
        }))
        .unwrap();
        let page = page(&document);
        for line in [
            "DENIED  spiffe://dev.symbolon.local/local/uid/0 -> orders   2023-11-14T22:13:20Z",
            "  ✓ evidence  unix by trust provider `local`",
            "  ✗ policy    no policy decided",
            "  · token     not reached",
            "  nearest     sidecar-may-read-orders   orders.cedar:12   owner team-orders   1 of 2 hold",
            "     ✓ context.key_bound",
            "         expected  aa",
            "         actual    bb   from the kernel, 41 s old",
            "  would be allowed if   principal.unix.executable_sha256 == \"aa\"",
            "  same question         symbolon policy simulate --decision b-00000000000000000000000000 --policies DIR",
            "     principal.unix.uid = 0",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line}\nis missing in\n{page}");
        }
    }
}
