//! Values that expressions read, owned and ready to be looked at without copying.
//! Where they come from and what they mean is the program's business.

use std::collections::{BTreeMap, HashMap};

use cel::common::{
    types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString},
    value::Val,
};
use serde::Serialize;

use crate::shape::KeyCase;

mod total;
pub(crate) use total::TotalMap;

/// The most elements that a list or map may hold: loops over them stay short.
pub const MAX_ELEMENTS: usize = 1024;

/// A value bound to a variable. Its `Debug` is silent.
pub struct Value(pub(crate) Box<dyn Val>);

/// Why something is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// More than [`MAX_ELEMENTS`] elements in one list or map.
    #[error("more than 1024 elements in one list or map")]
    TooManyElements,
    /// The type cannot be expressed as JSON.
    #[error("not expressible as a value")]
    NotSerializable,
    /// A number that fits neither a 64-bit integer nor a floating-point number.
    #[error("number out of range")]
    Number,
}

impl Value {
    /// A list.
    ///
    /// # Errors
    /// [`ValueError::TooManyElements`].
    pub fn list(elements: impl IntoIterator<Item = Self>) -> Result<Self, ValueError> {
        let list: Vec<Box<dyn Val>> = elements.into_iter().take(MAX_ELEMENTS + 1).map(|v| v.0).collect();
        within(list.len())?;
        Ok(Self(Box::new(CelList::from(list))))
    }

    /// A record or map from text to values.
    ///
    /// # Errors
    /// [`ValueError::TooManyElements`].
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Result<Self, ValueError> {
        let map: HashMap<CelMapKey<'static>, Box<dyn Val>> = entries
            .into_iter()
            .take(MAX_ELEMENTS + 1)
            .map(|(key, value)| (CelMapKey::from(key.into()), value.0))
            .collect();
        within(map.len())?;
        Ok(Self(Box::new(CelMap::from(map))))
    }

    /// A map from text to text in which every absent key is `""`: what [`Shape::TotalMap`](crate::Shape::TotalMap)
    /// declares. A key that is repeated is there and has no value: reading it has no result.
    ///
    /// # Errors
    /// [`ValueError::TooManyElements`].
    pub fn total_map<K: Into<String>, V: Into<String>>(
        case: KeyCase,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ValueError> {
        let map = TotalMap::new(case, entries.into_iter().take(MAX_ELEMENTS + 1));
        within(map.len())?;
        Ok(Self(Box::new(map)))
    }

    /// Any serializable value, by way of JSON: structs become records, absent options are left out by
    /// `skip_serializing_if` or else `null`.
    ///
    /// # Errors
    /// When it cannot be expressed as JSON or holds too many elements.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        Self::from_json(&serde_json::to_value(value).map_err(|_| ValueError::NotSerializable)?)
    }

    /// A JSON value.
    ///
    /// # Errors
    /// When it holds too many elements or a number out of range.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, ValueError> {
        use serde_json::Value as Json;
        Ok(match json {
            Json::Null => Self(Box::new(CelNull)),
            Json::Bool(value) => (*value).into(),
            Json::String(text) => text.as_str().into(),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => int.into(),
                (None, Some(double)) if !number.is_u64() => Self(Box::new(CelDouble::from(double))),
                _ => return Err(ValueError::Number),
            },
            Json::Array(elements) => {
                Self::list(elements.iter().map(Self::from_json).collect::<Result<Vec<_>, _>>()?)?
            }
            Json::Object(fields) => Self::map(
                fields
                    .iter()
                    .map(|(key, value)| Ok((key.as_str(), Self::from_json(value)?)))
                    .collect::<Result<BTreeMap<_, _>, _>>()?,
            )?,
        })
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.0.downcast_ref::<CelString<'_>>().map(CelString::inner)
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        self.0.downcast_ref::<CelBool>().map(|value| *value.inner())
    }

    /// The whole number, if it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        self.0.downcast_ref::<CelInt>().map(|value| *value.inner())
    }

    /// The value as JSON; `None` for what JSON cannot say.
    #[must_use]
    pub fn to_json(&self) -> Option<serde_json::Value> {
        json_of(self.0.as_ref())
    }
}

fn json_of(value: &dyn Val) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Some(Json::from(text.inner()));
    }
    if let Some(flag) = value.downcast_ref::<CelBool>() {
        return Some(Json::from(*flag.inner()));
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Some(Json::from(*int.inner()));
    }
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        return Some(Json::from(*double.inner()));
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Some(Json::Null);
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|v| json_of(v.as_ref())).collect::<Option<Vec<_>>>().map(Json::from);
    }
    if let Some(map) = value.downcast_ref::<TotalMap>() {
        return Some(map.to_json());
    }
    let map = value.downcast_ref::<CelMap<'_>>()?;
    let mut fields = BTreeMap::new();
    for (key, value) in map.inner() {
        let CelMapKey::String(key) = key else { return None };
        fields.insert(key.inner().to_owned(), json_of(value.as_ref())?);
    }
    Some(fields.into_iter().collect::<serde_json::Map<_, _>>().into())
}

fn within(elements: usize) -> Result<(), ValueError> {
    if elements > MAX_ELEMENTS { Err(ValueError::TooManyElements) } else { Ok(()) }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        Self(self.0.clone_as_boxed())
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Value").field(&self.0.get_type().name()).finish()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(Box::new(CelString::from(text)))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(Box::new(CelBool::from(value)))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self(Box::new(CelInt::from(value)))
    }
}
