//! What is wrong with a configuration that reads well.
//! Not here: the form of the file; `symbolon-config` checks that.

use std::fmt::Display;

use symbolon_config::{ConfigErrors, Loaded};

/// Findings with the path of the value they are about.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    all: Vec<(String, String)>,
}

impl Findings {
    /// Adds a finding about the value at `path`.
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Display) {
        self.all.push((path.into(), message.to_string()));
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// No finding is fine; some are errors with their places in the file.
    ///
    /// # Errors
    /// All findings.
    pub(crate) fn check<T>(self, loaded: &Loaded<T>) -> Result<(), ConfigErrors> {
        let errors = self.all.into_iter().map(|(path, message)| loaded.contradiction(&path, message));
        ConfigErrors::check(errors.collect())
    }
}
