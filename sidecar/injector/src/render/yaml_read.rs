//! YAML as `kubectl` reads it: YAML 1.1 scalars (`yes` is true, `0644` is octal), anchors and merge keys.
//! Not YAML 1.2, which most libraries read: a `defaultMode: 0644` would come out as another number.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

/// Aliases may repeat what they stand for up to this many values together.
const MAX_VALUES: usize = 1_000_000;
const MAX_DEPTH: usize = 100;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) problem: String,
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Value, YamlError> {
    let mut builder = Builder::default();
    let mut events = Parser::new_from_str(text);
    while let Some(event) = events.next_event() {
        let (event, span) = event
            .map_err(|error| YamlError { line: error.marker().line(), problem: error.info().to_owned() })?;
        builder.accept(event).map_err(|problem| YamlError { line: span.start.line(), problem })?;
    }
    Ok(builder.root.unwrap_or(Value::Null))
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    root: Option<Value>,
    values: usize,
}

/// A collection that has not ended.
enum Open {
    Sequence { anchor: usize, items: Vec<Value> },
    Mapping { anchor: usize, map: Map<String, Value>, key: Option<String>, merged: Vec<Value> },
}

impl Builder {
    fn accept(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().ok_or("an alias for nothing")?;
                self.add(0, value)
            }
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(Open::Mapping { key: key @ None, .. }) = self.open.last_mut() {
                    *key = Some(text.into_owned());
                    return Ok(());
                }
                let tag = tag.as_deref().map(is_text).transpose()?;
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.add(anchor, if plain { resolve(&text)? } else { Value::String(text.into_owned()) })
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Open::Sequence { anchor, items: Vec::new() }, tag.is_some())
            }
            Event::MappingStart(anchor, tag) => {
                let map = Open::Mapping { anchor, map: Map::new(), key: None, merged: Vec::new() };
                self.begin(map, tag.is_some())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::Sequence { anchor, items }) => self.add(anchor, Value::Array(items)),
                Some(Open::Mapping { anchor, mut map, merged, .. }) => {
                    for other in merged {
                        merge(&mut map, other)?;
                    }
                    self.add(anchor, Value::Object(map))
                }
                None => Ok(()),
            },
        }
    }

    fn begin(&mut self, collection: Open, tagged: bool) -> Result<(), String> {
        if tagged {
            return Err("tags are not read here".to_owned());
        }
        if matches!(self.open.last(), Some(Open::Mapping { key: None, .. })) {
            return Err("a key is a text".to_owned());
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.open.push(collection);
        Ok(())
    }

    fn add(&mut self, anchor: usize, value: Value) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        self.values = self.values.saturating_add(size(&value));
        if self.values > MAX_VALUES {
            return Err("too many values: aliases repeat too much".to_owned());
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::Sequence { items, .. }) => items.push(value),
            Some(Open::Mapping { map, key, merged, .. }) => match key.take() {
                Some(merge) if merge == "<<" => merged.push(value),
                Some(key) if map.contains_key(&key) => return Err(format!("the key {key:?} stands twice")),
                Some(key) => drop(map.insert(key, value)),
                None => return Err("an alias is not read as a key".to_owned()),
            },
        }
        Ok(())
    }
}

/// What an alias adds; other collections were counted by their parts.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().fold(1, |sum, item| sum.saturating_add(size(item))),
        Value::Object(map) => map.values().fold(1, |sum, item| sum.saturating_add(size(item))),
        _ => 1,
    }
}

/// What a mapping says itself is stronger than what it merges.
fn merge(map: &mut Map<String, Value>, other: Value) -> Result<(), String> {
    match other {
        Value::Object(other) => {
            for (key, value) in other {
                map.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::Array(others) => others.into_iter().try_for_each(|other| merge(map, other)),
        _ => Err("`<<` takes a mapping".to_owned()),
    }
}

fn is_text(tag: &Tag) -> Result<(), String> {
    if tag.suffix == "str" { Ok(()) } else { Err("of all tags only `!!str` is read here".to_owned()) }
}

/// The value of a scalar without quotes.
pub(super) fn resolve(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | ".nan" | ".NaN" | ".NAN" => {
            return Err(format!("`{text}` has no form in JSON"));
        }
        _ => integer(text).or_else(|| float(text)).unwrap_or_else(|| Value::String(text.to_owned())),
    })
}

fn integer(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let (radix, number) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..)?),
        Some("0o" | "0O") => (8, digits.get(2..)?),
        Some("0b" | "0B") => (2, digits.get(2..)?),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)?),
        _ => (10, digits.as_str()),
    };
    if number.starts_with(['-', '+']) {
        return None;
    }
    let number = u64::from_str_radix(number, radix).ok()?;
    if text.starts_with('-') {
        0_i64.checked_sub_unsigned(number).map(Value::from)
    } else {
        Some(number.into())
    }
}

fn float(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mantissa = digits.find(['e', 'E']).map_or(digits, |end| digits.split_at(end).0);
    let plain = mantissa.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain || !mantissa.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // "1e3" is a number in JSON as well; a number without a form in JSON stays a text.
    serde_json::Number::from_f64(text.parse().ok()?).map(Value::Number)
}
