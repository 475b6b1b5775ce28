//! The values of the declared variables for one evaluation or several.
//! A program reads only what it names: binding more costs nothing at evaluation.

use std::collections::BTreeMap;

use crate::value::Value;

/// Names bound to values.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    values: BTreeMap<String, Value>,
}

impl Bindings {
    /// No binding.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same bindings with `name` bound to `value`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.bind(name, value);
        self
    }

    /// Binds `name` to `value`; the last binding counts.
    pub fn bind(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.values.insert(name.into(), value.into());
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
}
