//! The annotations that a policy may carry, each honoured or refused.
//! Not here: Cedar's conditions.

use std::sync::Arc;
use std::time::Duration;

use crate::{Notes, PolicyId, Problem};

/// The names that are honoured, in the order in which they are documented.
const KNOWN: [&str; 7] = ["id", "owner", "reason", "runbook", "ttl", "max_actors", "mode"];

/// The known names for an error message.
pub(crate) fn known() -> String {
    KNOWN.map(|name| format!("`@{name}`")).join(", ")
}

/// What one policy's annotations say.
#[derive(Debug)]
pub(crate) struct Annotations {
    pub(crate) id: PolicyId,
    pub(crate) notes: Notes,
    pub(crate) ttl: Option<Duration>,
    pub(crate) max_actors: Option<u32>,
    pub(crate) mode: Mode,
}

/// Whether a policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It is evaluated beside the others, and only told what it would have changed.
    Shadow,
}

impl Annotations {
    /// Reads the annotations of one policy; the second part of an error is the name it is about.
    pub(crate) fn parse<'a>(
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        is_forbid: bool,
    ) -> Result<Self, Vec<(Problem, Option<String>)>> {
        let (mut id, mut notes, mut problems) = (None, Notes::default(), Vec::new());
        let (mut ttl, mut max_actors, mut mode) = (None, None, Mode::Enforce);
        for (name, value) in pairs {
            let outcome = match name {
                "id" => parse_id(value).map(|parsed| id = Some(parsed)),
                "owner" => parse_note(value).map(|note| notes.owner = Some(note)),
                "reason" => parse_note(value).map(|note| notes.reason = Some(note)),
                "runbook" => parse_note(value).map(|note| notes.runbook = Some(note)),
                "ttl" | "max_actors" if is_forbid => {
                    Err("limits a permit; a `forbid` grants nothing to limit")
                }
                "ttl" => parse_ttl(value).map(|parsed| ttl = Some(parsed)),
                "max_actors" => parse_max_actors(value).map(|parsed| max_actors = Some(parsed)),
                "mode" => parse_mode(value).map(|parsed| mode = parsed),
                _ => {
                    let problem = Problem::UnknownAnnotation { name: name.to_owned() };
                    problems.push((problem, Some(name.to_owned())));
                    continue;
                }
            };
            if let Err(rule) = outcome {
                problems
                    .push((Problem::BadAnnotation { name: name.to_owned(), rule }, Some(name.to_owned())));
            }
        }
        match id {
            Some(id) if problems.is_empty() => Ok(Self { id, notes, ttl, max_actors, mode }),
            None if problems.iter().all(|(_, name)| name.as_deref() != Some("id")) => {
                problems.push((Problem::MissingId, None));
                Err(problems)
            }
            _ => Err(problems),
        }
    }
}

fn parse_id(value: &str) -> Result<PolicyId, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=128).contains(&value.len()) && value.bytes().all(allowed) {
        Ok(PolicyId(Arc::from(value)))
    } else {
        Err("is 1 to 128 of a-z, A-Z, 0-9, `-`, `_`, `.`")
    }
}

fn parse_note(value: &str) -> Result<String, &'static str> {
    if (1..=512).contains(&value.len()) && !value.chars().any(char::is_control) {
        Ok(value.to_owned())
    } else {
        Err("is 1 to 512 bytes of text on one line")
    }
}

/// `90s`, `5m` or `1h`: one number, one unit, at most a day, at least a second.
fn parse_ttl(value: &str) -> Result<Duration, &'static str> {
    const RULE: &str = "is one number and one unit, like `90s`, `5m` or `1h`, from `1s` to `24h`";
    let (number, seconds_per_unit) = match value.char_indices().next_back() {
        Some((end, 's')) => (value.get(..end), 1),
        Some((end, 'm')) => (value.get(..end), 60),
        Some((end, 'h')) => (value.get(..end), 3600),
        _ => return Err(RULE),
    };
    let number = number.filter(|text| text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = number.and_then(|text| text.parse::<u64>().ok()).map(|count| count * seconds_per_unit);
    match seconds {
        Some(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(RULE),
    }
}

/// The most actors that a token can name at all.
const MAX_ACTORS: u32 = 16;

fn parse_max_actors(value: &str) -> Result<u32, &'static str> {
    let number = Some(value).filter(|text| text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit()));
    match number.and_then(|text| text.parse().ok()) {
        Some(number @ 1..=MAX_ACTORS) => Ok(number),
        _ => Err("is a number from `1` to `16`"),
    }
}

fn parse_mode(value: &str) -> Result<Mode, &'static str> {
    match value {
        "enforce" => Ok(Mode::Enforce),
        "shadow" => Ok(Mode::Shadow),
        _ => Err("is `enforce` or `shadow`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_one_number_and_one_unit() {
        assert_eq!(parse_ttl("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_ttl("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(parse_ttl("24h"), Ok(Duration::from_hours(24)));
        for bad in
            ["", "s", "5", "0s", "25h", "-1s", "1.5m", "5 m", "+5m", "5M", "9999999s", "1d", "5m30s", "٥m"]
        {
            assert!(parse_ttl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_of_actors_is_small_and_not_zero() {
        assert_eq!([parse_max_actors("1"), parse_max_actors("16")], [Ok(1), Ok(16)]);
        for bad in ["", "0", "17", "-1", "+3", "3 ", "three", "999", "٣"] {
            assert!(parse_max_actors(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mode_is_one_of_two_words() {
        assert_eq!(parse_mode("shadow"), Ok(Mode::Shadow));
        for bad in ["", "Shadow", "off", "audit", "shadow "] {
            assert!(parse_mode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_annotation_that_nobody_would_honour_is_refused() {
        for name in ["onwer", "modes", "max_actor", "Id", "ttl_max"] {
            let pairs = [("id", "a"), (name, "x")];
            let problems = Annotations::parse(pairs.into_iter(), false).unwrap_err();
            assert_eq!(problems, [(Problem::UnknownAnnotation { name: name.into() }, Some(name.into()))]);
        }
    }

    #[test]
    fn a_limit_on_a_forbid_is_refused() {
        for limit in [("ttl", "5m"), ("max_actors", "1")] {
            let problems = Annotations::parse([("id", "a"), limit].into_iter(), true).unwrap_err();
            assert_eq!(problems.len(), 1);
        }
    }
}
