//! What is wrong with a configuration beyond its form, collected so that one run reports all of it.
//! Not here: positions, which the reader of the file knows.

/// Contradictions, each with the path of the value that it is about.
#[derive(Debug, Default)]
pub struct Findings {
    found: Vec<(String, String)>,
    odd: Vec<(String, String)>,
}

impl Findings {
    /// Adds one, once: what all routes share is planned for each of them.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        push(&mut self.found, (path.into(), message.into()));
    }

    /// Adds something that is valid and deserves a look.
    pub fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        push(&mut self.odd, (path.into(), message.into()));
    }

    /// What is valid and deserves a look, taken out.
    pub fn take_warnings(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.odd)
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

fn push(list: &mut Vec<(String, String)>, finding: (String, String)) {
    if !list.contains(&finding) {
        list.push(finding);
    }
}

impl IntoIterator for Findings {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}
