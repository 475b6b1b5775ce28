//! The map in which every absent key is the empty text, as a value of the interpreter.
//! It is read-only and is not equal to anything: expressions compare its entries. A key that was given twice has no value.

use std::collections::{BTreeMap, btree_map::Entry as MapEntry};

use cel::{
    ExecutionError,
    common::{
        traits::{Container, Indexer, Iterable, Iterator as ValIterator, Sizer},
        types::{CelInt, CelString, MAP_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};

use crate::shape::KeyCase;

#[derive(Clone, Debug)]
struct Entry {
    key: CelString<'static>,
    /// None if the key was given more than once.
    value: Option<CelString<'static>>,
}

/// A total map from text to text.
#[derive(Clone, Debug)]
pub(crate) struct TotalMap {
    case: KeyCase,
    entries: BTreeMap<String, Entry>,
    absent: CelString<'static>,
}

impl TotalMap {
    pub(crate) fn new<K: Into<String>, V: Into<String>>(
        case: KeyCase,
        entries: impl Iterator<Item = (K, V)>,
    ) -> Self {
        let mut map = Self { case, entries: BTreeMap::new(), absent: CelString::from(String::new()) };
        for (key, value) in entries {
            let mut key = key.into();
            if case == KeyCase::Folded {
                key.make_ascii_lowercase();
            }
            let value = Some(CelString::from(value.into()));
            match map.entries.entry(key) {
                MapEntry::Occupied(mut known) => known.get_mut().value = None,
                MapEntry::Vacant(free) => {
                    let key = CelString::from(free.key().clone());
                    free.insert(Entry { key, value });
                }
            }
        }
        map
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let text = |entry: &Entry| {
            entry.value.as_ref().map_or(serde_json::Value::Null, |value| value.inner().into())
        };
        let fields = self.entries.iter().map(|(key, entry)| (key.clone(), text(entry)));
        fields.collect::<serde_json::Map<_, _>>().into()
    }

    fn find(&self, key: &dyn Val) -> Result<Option<&Entry>, ExecutionError> {
        let key = key.downcast_ref::<CelString<'_>>().ok_or_else(|| ExecutionError::UnexpectedType {
            got: key.get_type().name().to_owned(),
            want: "string".to_owned(),
        })?;
        Ok(match self.case {
            KeyCase::Folded if key.inner().bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.entries.get(&key.inner().to_ascii_lowercase())
            }
            KeyCase::Folded | KeyCase::Exact => self.entries.get(key.inner()),
        })
    }

    /// SECURITY: whoever else reads a repeated key may take the first value, the last one or both, so that any one of them
    /// here would let the others hide behind it.
    fn value(&self, key: &dyn Val) -> Result<&CelString<'static>, ExecutionError> {
        let Some(entry) = self.find(key)? else { return Ok(&self.absent) };
        entry
            .value
            .as_ref()
            .ok_or_else(|| ExecutionError::function_error("[]", "the key occurs more than once"))
    }
}

impl Val for TotalMap {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl StaticVal for TotalMap {}

impl Container for TotalMap {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.find(key)?.is_some())
    }
}

impl Indexer for TotalMap {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Ok(CowVal::Borrowed(self.value(key)?))
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Ok(Box::new(self.value(key)?.clone()))
    }
}

impl Iterable for TotalMap {
    fn iter<'b, 'v>(&'b self) -> Box<dyn ValIterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Keys(self.entries.values()))
    }
}

struct Keys<'b>(std::collections::btree_map::Values<'b, String, Entry>);

impl<'b, 'v> ValIterator<'b, 'v> for Keys<'b> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|entry| &entry.key as &(dyn Val + 'v))
    }
}

impl Sizer for TotalMap {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.entries.len()).unwrap_or(i64::MAX))
    }
}
