//! The values of the declared variables for one evaluation or several.
//! A program reads only what it names: binding more costs nothing at evaluation.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use crate::value::Value;

/// Names bound to values.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    values: BTreeMap<Cow<'static, str>, Arc<Value>>,
}

impl Bindings {
    /// No binding.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same bindings with `name` bound to `value`.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.bind(name, value);
        self
    }

    /// Binds `name` to `value`; the last binding counts.
    pub fn bind(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.share(name, &Arc::new(value.into()));
    }

    /// Binds `name` to a value that was made once and is read by many evaluations.
    pub fn share(&mut self, name: impl Into<Cow<'static, str>>, value: &Arc<Value>) {
        self.values.insert(name.into(), Arc::clone(value));
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name).map(Arc::as_ref)
    }
}
