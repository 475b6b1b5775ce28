//! One node as serde sees it.
//! A plain `5` is a number and `"5"` a text; only what the environment gave is taken as the field wants it.

use serde::de::{self, Deserializer, Expected, Visitor};

use super::{
    Place, Source, TypedError,
    collections::{Elements, Entries, Variant},
    error::suggestion,
    secrets,
};
use crate::{
    error::Problem,
    secret,
    tree::{Entry, Node, Origin, Resolved, Scalar, Value},
};

#[derive(Clone, Copy)]
pub(super) struct NodeReader<'a> {
    pub(super) node: &'a Node,
    pub(super) place: &'a Place<'a>,
    pub(super) source: &'a Source<'a>,
}

type Outcome<T> = Result<T, TypedError>;

impl<'a> NodeReader<'a> {
    fn at<T>(self, outcome: Outcome<T>) -> Outcome<T> {
        outcome.map_err(|error| error.at(self.node, self.place))
    }

    fn wrong_type(self, expected: &dyn Expected) -> TypedError {
        let found = self.node.kind().to_owned();
        TypedError::new(Problem::WrongType { expected: expected.to_string(), found })
    }

    fn scalar(self, expected: &dyn Expected) -> Outcome<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Ok(scalar),
            _ => Err(self.wrong_type(expected)),
        }
    }

    fn text(self, expected: &dyn Expected) -> Outcome<&'a str> {
        let scalar = self.scalar(expected)?;
        let text = match (scalar.resolve(), &self.node.origin) {
            (Resolved::Text(text), _) => text,
            (_, Origin::Variable(_)) => scalar.text(),
            (Resolved::Null, _) => return Err(self.wrong_type(expected)),
            _ => {
                let found = format!("{}; quote it to make it a text", self.node.kind());
                let expected = expected.to_string();
                return Err(TypedError::new(Problem::WrongType { expected, found }));
            }
        };
        secrets::refuse_reference(text)?;
        Ok(text)
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.scalar(&visitor)?.resolve() {
            Resolved::Unsigned(number) => visitor.visit_u64(number),
            Resolved::Signed(number) => visitor.visit_i64(number),
            Resolved::Float(number) => visitor.visit_f64(number),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    /// The entries of a mapping; nothing is an empty one.
    fn entries(self, expected: &dyn Expected) -> Outcome<&'a [Entry]> {
        match &self.node.value {
            Value::Mapping(entries) => Ok(entries),
            Value::Scalar(_) if self.node.is_null() => Ok(&[]),
            _ => Err(self.wrong_type(expected)),
        }
    }

    fn mapping<'de, V: Visitor<'de>>(
        self,
        visitor: V,
        known: Option<&'static [&'static str]>,
    ) -> Outcome<V::Value> {
        let entries = self.entries(&visitor)?;
        let unknown = |entry: &&Entry| known.is_some_and(|known| !known.contains(&entry.key.as_str()));
        for entry in entries.iter().filter(unknown) {
            let (nearest, known) = suggestion(&entry.key, known.unwrap_or_default());
            let problem = Problem::UnknownKey { key: entry.key.clone(), nearest, known };
            self.source.collect(&entry.origin, self.place, problem);
        }
        let entries: Vec<&Entry> = entries.iter().filter(|entry| !unknown(entry)).collect();
        visitor.visit_map(Entries::new(entries, self))
    }

    fn choice<'de, V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match &self.node.value {
            Value::Scalar(_) => {
                let word = self.text(&visitor)?;
                visitor.visit_enum(Variant::Word(word))
            }
            Value::Mapping(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant::Entry(entry, self)),
                _ => Err(TypedError::new(Problem::Invalid(format!(
                    "expected {} as exactly one key",
                    &visitor as &dyn Expected
                )))),
            },
            Value::Sequence(_) => Err(self.wrong_type(&visitor)),
        }
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match &self.node.value {
            Value::Sequence(items) => visitor.visit_seq(Elements::new(items, self)),
            Value::Mapping(_) => self.mapping(visitor, None),
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => visitor.visit_unit(),
                Resolved::Bool(value) => visitor.visit_bool(value),
                Resolved::Text(_) => {
                    let text = self.text(&visitor)?;
                    visitor.visit_str(text)
                }
                Resolved::Unsigned(_) | Resolved::Signed(_) | Resolved::Float(_) => self.number(visitor),
            },
        }
    }
}

macro_rules! forward {
    ($target:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
            self.at(self.$target(visitor))
        })*
    };
}

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = TypedError;

    forward! { any: deserialize_any }
    forward! { number:
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let value = match self.scalar(&visitor).map(Scalar::resolve) {
            Ok(Resolved::Bool(value)) => visitor.visit_bool(value),
            _ => Err(self.wrong_type(&visitor)),
        };
        self.at(value)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.at(self.text(&visitor).and_then(|text| visitor.visit_str(text)))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let value = if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) };
        self.at(value)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let value = if self.node.is_null() { visitor.visit_unit() } else { Err(self.wrong_type(&visitor)) };
        self.at(value)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Outcome<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Outcome<V::Value> {
        if name != secret::MARKER {
            return self.at(visitor.visit_newtype_struct(self));
        }
        let scalar = self.node.raw.as_ref().map_or_else(|| self.scalar(&visitor), Ok);
        let text = scalar.and_then(|scalar| secrets::reveal(scalar, self.node, self.source));
        self.at(text.and_then(|text| visitor.visit_string(text)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let value = match &self.node.value {
            Value::Sequence(items) => visitor.visit_seq(Elements::new(items, self)),
            _ => Err(self.wrong_type(&visitor)),
        };
        self.at(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Outcome<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Outcome<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.at(self.mapping(visitor, None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        self.at(self.mapping(visitor, Some(fields)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        self.at(self.choice(visitor))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        visitor.visit_unit()
    }
}

impl de::IntoDeserializer<'_, TypedError> for NodeReader<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
