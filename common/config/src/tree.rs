//! The file as a tree of nodes that know where they come from.
//! It has no types yet: a scalar is a text until something asks for a number.

use secrecy::{ExposeSecret, SecretString};

use crate::error::Position;

mod overrides;
mod yaml;

pub(crate) use overrides::apply as apply_overrides;
pub(crate) use yaml::parse;

/// How deep a configuration may be nested.
pub(crate) const MAX_DEPTH: usize = 64;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    File(Position),
    Variable(String),
}

impl Origin {
    pub(crate) fn position(&self) -> Option<Position> {
        match self {
            Self::File(position) => Some(*position),
            Self::Variable(_) => None,
        }
    }

    /// The file's name, or the variable's.
    pub(crate) fn name<'a>(&'a self, file: &'a str) -> &'a str {
        match self {
            Self::File(_) => file,
            Self::Variable(name) => name,
        }
    }
}

/// A value.
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) value: Value,
    /// The text of a variable that opens like YAML, as it is: if a secret is wanted here, this is it.
    pub(crate) raw: Option<Scalar>,
}

pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key and its value.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) value: Node,
}

/// A text and whether it was quoted. Wiped when dropped: it may be a secret from the environment.
pub(crate) struct Scalar {
    text: SecretString,
    quoted: bool,
}

/// What a scalar is by the YAML 1.2 core schema (§10.3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resolved<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    pub(crate) fn new(text: impl Into<String>, quoted: bool) -> Self {
        Self { text: SecretString::from(text.into()), quoted }
    }

    pub(crate) fn text(&self) -> &str {
        self.text.expose_secret()
    }

    pub(crate) fn resolve(&self) -> Resolved<'_> {
        let text = self.text();
        if self.quoted {
            return Resolved::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
            "true" | "True" | "TRUE" => Resolved::Bool(true),
            "false" | "False" | "FALSE" => Resolved::Bool(false),
            _ => number(text).unwrap_or(Resolved::Text(text)),
        }
    }
}

fn number(text: &str) -> Option<Resolved<'_>> {
    let based = text.strip_prefix("0x").map(|digits| (digits, 16));
    if let Some((digits, radix)) = based.or_else(|| text.strip_prefix("0o").map(|digits| (digits, 8))) {
        let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return u64::from_str_radix(digits, radix).ok().filter(|_| plain).map(Resolved::Unsigned);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        || !text.bytes().any(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text).parse().ok().map(Resolved::Unsigned);
    unsigned
        .or_else(|| text.parse().ok().map(Resolved::Signed))
        .or_else(|| text.parse().ok().map(Resolved::Float))
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.resolve() == Resolved::Null)
    }

    /// What it is, for messages: never its text.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(_) if self.raw.is_some() => "a text that opens like YAML, but is not",
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => "nothing",
                Resolved::Bool(_) => "a bool",
                Resolved::Unsigned(_) | Resolved::Signed(_) => "a whole number",
                Resolved::Float(_) => "a number",
                Resolved::Text(_) => "a text",
            },
        }
    }

    /// The origins of this node and all below, by path.
    pub(crate) fn origins(&self, path: &str, found: &mut Vec<(String, Origin)>) {
        found.push((path.to_owned(), self.origin.clone()));
        match &self.value {
            Value::Scalar(_) => {}
            Value::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.origins(&format!("{path}[{index}]"), found);
                }
            }
            Value::Mapping(entries) => {
                for entry in entries {
                    entry.value.origins(&join(path, &entry.key), found);
                }
            }
        }
    }
}

/// The path of a key below a path.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
