//! A decision as a page of text for people.
//! Not here: the JSON and YAML forms, which are the document itself.

use std::fmt::Write as _;

use serde_json::Value;
use symbolon_wire::{Atom, DecisionDocument, NearMiss, Outcome};

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
    if let Some(reason) = document.reason {
        writeln!(text, "  reason      {reason}: {}", reason.advice())?;
    }
    if let Some(detail) = &document.detail {
        writeln!(text, "  detail      {detail}")?;
    }
    if !document.policies.is_empty() {
        writeln!(text, "  policies    {}", document.policies.join(", "))?;
    }
    for near in &document.near_misses {
        write_near_miss(text, near)?;
    }
    if !document.facts.is_null() {
        writeln!(text, "  facts")?;
        write_facts(text, "", &document.facts)?;
    }
    Ok(())
}

fn write_near_miss(text: &mut String, near: &NearMiss) -> std::fmt::Result {
    writeln!(text, "  nearest     {}   what failed:", near.policy)?;
    for Atom { condition, expected, actual } in &near.failed {
        writeln!(text, "     x {condition}")?;
        if let Some(expected) = expected {
            writeln!(text, "         expected  {expected}")?;
        }
        if let Some(actual) = actual {
            writeln!(text, "         actual    {actual}")?;
        }
    }
    Ok(())
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
    fn a_denial_shows_expected_and_actual() {
        let document: DecisionDocument = serde_json::from_value(json!({
            "id": "b-00000000000000000000000000", "time": 1_700_000_000, "outcome": "denied", "reason": "denied",
            "workload": "spiffe://dev.symbolon.local/local/uid/0", "target": "orders",
            "near_misses": [{"policy": "sidecar-may-read-orders", "failed": [
                {"condition": "principal.unix.executable_sha256 == \"aa\"", "expected": "aa", "actual": "bb"}]}],
            "facts": {"principal": {"unix": {"uid": 0}}, "token": null}
        }))
        .unwrap();
        let page = page(&document);
        for line in [
            "DENIED  spiffe://dev.symbolon.local/local/uid/0 -> orders   2023-11-14T22:13:20Z",
            "         expected  aa",
            "         actual    bb",
            "     principal.unix.uid = 0",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line}\nis missing in\n{page}");
        }
    }
}
