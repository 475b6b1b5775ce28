//! serde's errors as ours, without the values that serde would print.
//! The first reader that sees an error without a place gives it one.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::Place;
use crate::{
    error::{ConfigError, Problem},
    nearest::nearest,
    tree::{Node, Origin},
};

#[derive(Debug)]
pub(super) struct TypedError {
    problem: Box<Problem>,
    place: Option<(Origin, String)>,
}

impl TypedError {
    pub(super) fn new(problem: Problem) -> Self {
        Self { problem: Box::new(problem), place: None }
    }

    /// The same error at this node, unless it has its place.
    pub(super) fn at(mut self, node: &Node, place: &Place<'_>) -> Self {
        self.place.get_or_insert_with(|| (node.origin.clone(), place.path()));
        self
    }

    pub(super) fn placed(self, name: &str, root: &Origin) -> ConfigError {
        let (origin, path) = self.place.unwrap_or_else(|| (root.clone(), String::new()));
        ConfigError {
            origin: origin.name(name).to_owned(),
            position: origin.position(),
            path,
            problem: self.problem,
        }
    }
}

/// Names as owned texts with the nearest to `name`.
pub(super) fn suggestion(name: &str, known: &[&str]) -> (Option<String>, Vec<String>) {
    let nearest = nearest(name, known.iter().copied()).map(str::to_owned);
    (nearest, known.iter().map(|known| (*known).to_owned()).collect())
}

fn kind(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(_) => "a bool",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a text",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a mapping",
        _ => "something else",
    }
    .to_owned()
}

impl de::Error for TypedError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Problem::Invalid(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Problem::WrongType { expected: expected.to_string(), found: kind(unexpected) })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // A number out of range may be named, a text may be anything.
        let found = match unexpected {
            Unexpected::Unsigned(number) => format!("`{number}`"),
            Unexpected::Signed(number) => format!("`{number}`"),
            other => format!("another value of the kind {}", kind(other)),
        };
        Self::new(Problem::WrongType { expected: expected.to_string(), found })
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Problem::WrongType { expected: expected.to_string(), found: format!("{length} elements") })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let (nearest, known) = suggestion(variant, expected);
        Self::new(Problem::UnknownChoice { choice: variant.to_owned(), nearest, known })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let (nearest, known) = suggestion(field, expected);
        Self::new(Problem::UnknownKey { key: field.to_owned(), nearest, known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::MissingKey { key: field.to_owned() })
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Problem::DuplicateKey { key: field.to_owned() })
    }
}

impl fmt::Display for TypedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for TypedError {}
