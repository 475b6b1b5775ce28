//! What a token says of itself, of which nothing is verified: who, for whom, how old.
//! Not here: what the broker thinks of it. Other claims than these may be anything, and are left out.

use serde_json::{Map, Value};
use symbolon_identity::Timestamp;
use symbolon_jws::inspect::Inspection;

use super::report::{Check, Verdict};

const SHOWN: [&str; 7] = ["iss", "sub", "aud", "iat", "nbf", "exp", "kubernetes.io"];
const SHOWN_OF_HEADER: [&str; 3] = ["alg", "kid", "typ"];

/// The checks of what a token says; its age is by the broker's clock.
pub(super) fn checks(token: &Inspection, now: Timestamp) -> Vec<Check> {
    let Some(claims) = &token.claims else {
        let found = format!("no claims can be read: {}", token.findings.join("; "));
        return vec![Check::new("evidence.claims", Verdict::Failed, found).next("show it a JWT")];
    };
    vec![who(token, claims), age(claims, now), audience(claims)]
}

fn who(token: &Inspection, claims: &Value) -> Check {
    let some = |names: &[&str], of: Option<&Value>| -> Map<String, Value> {
        let named = |name: &&str| Some(((*name).to_owned(), of?.get(*name)?.clone()));
        names.iter().filter_map(named).collect()
    };
    let header = some(&SHOWN_OF_HEADER, token.header.as_ref());
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or("nobody");
    let signed = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or("none").to_owned();
    let found = format!(
        "sub `{}` by iss `{}`, alg {}, kid `{}`",
        text("sub"),
        text("iss"),
        signed("alg"),
        signed("kid")
    );
    let details = serde_json::json!({ "header": header, "claims": some(&SHOWN, Some(claims)) });
    Check::new("evidence.claims", Verdict::Ok, found).with(details)
}

fn age(claims: &Value, now: Timestamp) -> Check {
    let time = |name: &str| claims.get(name).and_then(Value::as_u64).map(Timestamp::from_secs_saturating);
    let Some(end) = time("exp") else {
        let check = Check::new("evidence.age", Verdict::Failed, "it does not say when it ends");
        return check.next("evidence needs `exp`: ask the platform for a token that has it");
    };
    let age = time("iat").map_or_else(String::new, |begin| {
        format!("{} s old by the broker's clock, ", now.saturating_since(begin).as_secs())
    });
    if now >= end {
        let found = format!("{age}it ended {} s ago", now.saturating_since(end).as_secs());
        let next =
            "show it the token that the platform wrote last; if this is that one, whoever writes it is stuck";
        return Check::new("evidence.age", Verdict::Failed, found).next(next);
    }
    let found = format!("{age}it ends in {} s", end.saturating_since(now).as_secs());
    match time("nbf").or_else(|| time("iat")).filter(|begin| *begin > now) {
        Some(begin) => {
            let ahead = begin.saturating_since(now).as_secs();
            let check =
                Check::new("evidence.age", Verdict::Warning, format!("{found}, and begins in {ahead} s"));
            check.next("let NTP set the clocks of the broker and of whoever signs")
        }
        None => Check::new("evidence.age", Verdict::Ok, found),
    }
}

fn audience(claims: &Value) -> Check {
    let one = match claims.get("aud") {
        Some(Value::String(one)) => Some(one.as_str()),
        Some(Value::Array(several)) if several.len() == 1 => several.first().and_then(Value::as_str),
        _ => None,
    };
    match one {
        Some(one) => Check::new("evidence.audience", Verdict::Ok, format!("one, `{one}`")),
        None => Check::new("evidence.audience", Verdict::Failed, "not exactly one")
            .next("have the token made for the broker alone"),
    }
}
