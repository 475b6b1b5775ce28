//! The environment variables that configuration may read, as one value taken at start.
//! It is not the process environment itself: tests hand in their own.

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret, SecretString};

/// What every override begins with.
pub(crate) const OVERRIDE_PREFIX: &str = "SYMBOLON__";

/// A snapshot of environment variables.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, SecretString>,
}

impl Environment {
    /// The variables of this process whose names and values are UTF-8.
    #[must_use]
    pub fn of_process() -> Self {
        let utf8 = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::from_pairs(utf8)
    }

    /// No variable at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Exactly these variables.
    #[must_use]
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables =
            pairs.into_iter().map(|(name, value)| (name.into(), SecretString::from(value.into()))).collect();
        Self { variables }
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(ExposeSecret::expose_secret)
    }

    /// The overrides in order of their names: what follows the prefix, and the value.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .filter(|(name, _)| name.starts_with(OVERRIDE_PREFIX))
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("variables", &self.variables.len()).finish()
    }
}
