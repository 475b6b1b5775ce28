//! What is wrong with a configuration beyond its form, collected so that one run reports all of it.
//! Not here: positions, which the reader of the file knows.

/// Contradictions, each with the path of the value that it is about.
#[derive(Debug, Default)]
pub struct Findings {
    found: Vec<(String, String)>,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.found.push((path.into(), message.into()));
    }

    /// The value, or `None` with its error added.
    pub fn keep<T, E: std::fmt::Display>(&mut self, path: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(path, error.to_string())).ok()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl IntoIterator for Findings {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}
