//! What a declared variable looks like: enough to find a mistyped name at load.
//! It is not a full type system: what comes out of `Dynamic` is checked when it is evaluated.

use std::{collections::BTreeMap, fmt};

/// How the keys of a total map compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCase {
    /// Byte by byte.
    Exact,
    /// Without regard to ASCII case, as HTTP field names.
    Folded,
}

/// The shape of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    String,
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A floating-point number.
    Double,
    /// A list of values of one shape.
    List(Box<Self>),
    /// Exactly these fields; a field that is declared but absent is an evaluation error, `has(x.y)` tests for it.
    Record(BTreeMap<String, Self>),
    /// A map from text to values of one shape; an absent key is an evaluation error.
    Map(Box<Self>),
    /// A map from text to text in which every absent key is `""`.
    TotalMap(KeyCase),
    /// Anything: checked when it is evaluated, not at load.
    Dynamic,
}

impl Shape {
    /// A list of `element`.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// A map from text to `value`.
    #[must_use]
    pub fn map(value: Self) -> Self {
        Self::Map(Box::new(value))
    }

    /// A record of these fields.
    #[must_use]
    pub fn record<N: Into<String>>(fields: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Record(fields.into_iter().map(|(name, shape)| (name.into(), shape)).collect())
    }

    /// Whether a value of this shape could also be one of `other`.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        use Shape::{Double, Dynamic, Int, List, Map, Record, TotalMap};
        match (self, other) {
            (List(a), List(b)) => a.fits(b),
            (Dynamic, _)
            | (_, Dynamic)
            | (Int | Double, Int | Double)
            | (Map(_) | TotalMap(_) | Record(_), Map(_) | TotalMap(_) | Record(_)) => true,
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "a string",
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Double => "a double",
            Self::List(_) => "a list",
            Self::Record(_) => "a record",
            Self::Map(_) | Self::TotalMap(_) => "a map",
            Self::Dynamic => "a value",
        })
    }
}
