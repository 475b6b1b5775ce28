//! The part of Cedar's context that all actions share.
//! Not here: what one action has of its own.

use cedar_policy_core::ast::RestrictedExpr as Value;

use super::values::{Extensions, Fields, record, text};
use crate::{Context, LocalTime};

/// Cedar counts durations in milliseconds in 64 bits; anything older is as old as this.
const MAX_AGE_SECONDS: u64 = 1 << 40;

/// The circumstances; `None` if Cedar refuses a value.
pub(super) fn of(context: &Context, extensions: &Extensions) -> Option<Fields> {
    let local = context
        .local
        .iter()
        .map(|(name, time)| Some((name.as_str().to_owned(), local_time(*time, extensions)?)));
    let mut pairs = vec![
        ("now".to_owned(), extensions.datetime(&context.now.to_string())),
        ("key_bound".to_owned(), Value::val(context.key_bound)),
    ];
    pairs.extend(context.key_changed.map(|changed| ("key_changed".to_owned(), Value::val(changed))));
    if !context.local.is_empty() {
        pairs.push(("local".to_owned(), record(local.collect::<Option<Fields>>()?)?));
    }
    // Canonical, so that `::ffff:10.0.0.1` is in 10.0.0.0/8; Cedar does not read the mixed notation anyway.
    let source_ip = context.source_ip.map(|ip| ip.to_canonical().to_string());
    pairs.extend(source_ip.map(|ip| ("source_ip".to_owned(), extensions.ip(&ip))));
    let age = context.evidence_age.map(|age| age.as_secs().min(MAX_AGE_SECONDS));
    pairs.extend(age.map(|age| ("evidence_age".to_owned(), extensions.duration(age))));
    Some(pairs)
}

fn local_time(time: LocalTime, extensions: &Extensions) -> Option<Value> {
    record(vec![
        ("weekday".to_owned(), text(time.weekday.as_str())),
        ("time".to_owned(), extensions.duration(time.second_of_day.into())),
    ])
}
