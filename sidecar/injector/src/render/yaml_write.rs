//! YAML as `kubectl` writes it: block style, and quotes wherever anybody could read something else than a text.
//! It writes values, not comments.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::yaml_read::resolve;

/// One document, without its marker.
pub(crate) fn document(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(map, 0, false, &mut text),
        Value::Array(items) if !items.is_empty() => sequence(items, 0, &mut text),
        other => {
            scalar(other, 0, &mut text);
            text.push('\n');
        }
    }
    text
}

/// `continued` says that the first key stands behind the dash of a list.
fn mapping(map: &Map<String, Value>, indent: usize, continued: bool, text: &mut String) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 || !continued {
            spaces(indent, text);
        }
        text.push_str(&word(key));
        text.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                text.push('\n');
                mapping(inner, indent + 2, false, text);
            }
            Value::Array(items) if !items.is_empty() => {
                text.push('\n');
                sequence(items, indent, text);
            }
            other => {
                text.push(' ');
                scalar(other, indent, text);
                text.push('\n');
            }
        }
    }
}

fn sequence(items: &[Value], indent: usize, text: &mut String) {
    for item in items {
        spaces(indent, text);
        text.push('-');
        match item {
            Value::Object(map) if !map.is_empty() => {
                text.push(' ');
                mapping(map, indent + 2, true, text);
            }
            Value::Array(inner) if !inner.is_empty() => {
                text.push('\n');
                sequence(inner, indent + 2, text);
            }
            other => {
                text.push(' ');
                scalar(other, indent, text);
                text.push('\n');
            }
        }
    }
}

fn scalar(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::String(string) => match lines(string) {
            Some((header, lines)) => {
                text.push_str(header);
                for line in lines {
                    text.push('\n');
                    if !line.is_empty() {
                        spaces(indent + 2, text);
                        text.push_str(line);
                    }
                }
            }
            None => text.push_str(&word(string)),
        },
        // Empty collections, numbers, `true`, `null`: YAML takes JSON's.
        other => text.push_str(&other.to_string()),
    }
}

/// A text of several lines as a literal block, if that keeps every byte.
fn lines(string: &str) -> Option<(&'static str, std::str::Split<'_, char>)> {
    let body = string.strip_suffix('\n').unwrap_or(string);
    let fits = body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && body.chars().all(|letter| letter == '\n' || letter == '\t' || is_printable(letter));
    let header = if body.len() == string.len() { "|-" } else { "|" };
    fits.then(|| (header, body.split('\n')))
}

/// A text in one line, with quotes unless it is beyond doubt.
fn word(string: &str) -> String {
    let first = string.starts_with(|first: char| first.is_ascii_alphanumeric() || "/_.".contains(first));
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "/_.@+=-".contains(letter);
    let colons = |(index, letter): (usize, char)| {
        let next = string.get(index + 1..).and_then(|rest| rest.chars().next());
        inner(letter)
            || (letter == ':' && next.is_some_and(inner))
            || (letter == ' ' && next.is_some_and(inner))
    };
    let text = matches!(resolve(string), Ok(Value::String(_))) && !matches!(string, "y" | "Y" | "n" | "N");
    // A number of base 60, of old, or a time.
    let sexagesimal = string.contains(':') && string.bytes().all(|byte| !byte.is_ascii_alphabetic());
    if first && text && !sexagesimal && string.char_indices().all(colons) {
        return string.to_owned();
    }
    let mut quoted = String::with_capacity(string.len() + 2);
    for letter in Value::from(string).to_string().chars() {
        if is_printable(letter) {
            quoted.push(letter);
        } else {
            // INVARIANT: writing to a text does not fail. JSON has escaped all that is beyond 0xffff or below space.
            let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
        }
    }
    quoted
}

/// What may stand in YAML as it is (YAML 1.2.2 §5.1), without what some readers take as a line's end.
fn is_printable(letter: char) -> bool {
    !letter.is_control() && !matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn spaces(count: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', count));
}
