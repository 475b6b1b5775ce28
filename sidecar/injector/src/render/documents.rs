//! A stream of YAML documents as text: where each begins, so that most can be left as they are.
//! What is in them is read in `yaml_read.rs`.

use serde_json::Value;

use super::{RenderError, yaml_read};

/// One document, with the marker before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'a> {
    /// All of its text.
    pub(crate) whole: &'a str,
    /// The line on which it begins, from 1.
    pub(crate) line: usize,
}

/// Cuts a stream at its `---` lines. Such a line is a marker wherever it stands (YAML 1.2.2 §9.1.2).
pub(crate) fn split(stream: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut begin, mut begin_line, mut at) = (0, 1, 0);
    for (number, line) in stream.split_inclusive('\n').enumerate() {
        if is_marker(line) && at > begin {
            documents.extend(stream.get(begin..at).map(|whole| Document { whole, line: begin_line }));
            (begin, begin_line) = (at, number + 1);
        }
        at += line.len();
    }
    documents.extend(stream.get(begin..).map(|whole| Document { whole, line: begin_line }));
    documents
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

impl Document<'_> {
    /// Whether it begins with a marker.
    pub(crate) fn is_marked(&self) -> bool {
        is_marker(self.whole)
    }

    pub(crate) fn read(&self) -> Result<Value, RenderError> {
        // Comments and directives alone are no document.
        let content = |line: &str| {
            let line = line.strip_prefix("---").filter(|_| is_marker(line)).unwrap_or(line).trim();
            !line.is_empty() && !line.starts_with(['#', '%'])
        };
        if !self.whole.lines().any(content) {
            return Ok(Value::Null);
        }
        yaml_read::read(self.whole).map_err(|error| RenderError::Syntax {
            line: self.line + error.line.saturating_sub(1),
            problem: error.problem,
        })
    }
}
