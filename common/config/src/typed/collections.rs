//! Lists, mappings and choices as serde walks them.
//! Each child gets its place in the path.

use std::slice;

use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};

use super::{Place, TypedError, deserializer::NodeReader};
use crate::{
    error::Problem,
    tree::{Entry, Node},
};

pub(super) struct Elements<'a> {
    items: std::iter::Enumerate<slice::Iter<'a, Node>>,
    parent: NodeReader<'a>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(items: &'a [Node], parent: NodeReader<'a>) -> Self {
        Self { items: items.iter().enumerate(), parent }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = TypedError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TypedError> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let place = Place::Index(self.parent.place, index);
        seed.deserialize(NodeReader { node, place: &place, source: self.parent.source })
            .map(Some)
            .map_err(|error| error.at(node, &place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

pub(super) struct Entries<'a> {
    rest: std::vec::IntoIter<&'a Entry>,
    next: Option<&'a Entry>,
    parent: NodeReader<'a>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(entries: Vec<&'a Entry>, parent: NodeReader<'a>) -> Self {
        Self { rest: entries.into_iter(), next: None, parent }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = TypedError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TypedError> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.next = Some(entry);
        let key: StrDeserializer<'_, TypedError> = entry.key.as_str().into_deserializer();
        // A key is wrong where the key stands.
        let value = crate::tree::Value::Sequence(Vec::new());
        let place = Node { origin: entry.origin.clone(), value, raw: None };
        seed.deserialize(key).map(Some).map_err(|error| error.at(&place, self.parent.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TypedError> {
        let entry = self.next.take();
        let entry = entry.ok_or_else(|| TypedError::new(Problem::Invalid("a key is missing".to_owned())))?;
        let place = Place::Key(self.parent.place, &entry.key);
        seed.deserialize(NodeReader { node: &entry.value, place: &place, source: self.parent.source })
            .map_err(|error| error.at(&entry.value, &place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A choice: a word alone, or a word with what belongs to it.
pub(super) enum Variant<'a> {
    Word(&'a str),
    Entry(&'a Entry, NodeReader<'a>),
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = TypedError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), TypedError> {
        let word = match &self {
            Variant::Word(word) => word,
            Variant::Entry(entry, _) => entry.key.as_str(),
        };
        let word: StrDeserializer<'_, TypedError> = word.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl Variant<'_> {
    fn content<T>(self, read: impl FnOnce(NodeReader<'_>) -> Result<T, TypedError>) -> Result<T, TypedError> {
        match self {
            Variant::Word(word) => {
                Err(TypedError::new(Problem::Invalid(format!("`{word}` needs a value: write `{word}: …`"))))
            }
            Variant::Entry(entry, parent) => {
                let place = Place::Key(parent.place, &entry.key);
                read(NodeReader { node: &entry.value, place: &place, source: parent.source })
                    .map_err(|error| error.at(&entry.value, &place))
            }
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = TypedError;

    fn unit_variant(self) -> Result<(), TypedError> {
        match self {
            Variant::Word(_) => Ok(()),
            Variant::Entry(entry, _) if entry.value.is_null() => Ok(()),
            Variant::Entry(entry, _) => {
                Err(TypedError::new(Problem::Invalid(format!("`{}` takes no value", entry.key))))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, TypedError> {
        self.content(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, TypedError> {
        self.content(|reader| reader.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        self.content(|reader| reader.deserialize_struct("", fields, visitor))
    }
}
