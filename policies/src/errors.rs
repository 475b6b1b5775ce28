//! Why a folder of policies is refused, with file, line and column.
//! Not here: denials (`decision`).

use std::fmt;

/// All that is wrong with a set of policies; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PolicyErrors(Vec<PolicyError>);

impl PolicyErrors {
    /// The single errors, in the order of files and lines.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        self.0.iter()
    }
}

impl PolicyErrors {
    /// In an order of their own: a reload compares what two loads of one folder say, and the engine's order changes.
    pub(crate) fn sorted(mut errors: Vec<PolicyError>) -> Self {
        errors.sort_by_cached_key(|error| (error.file.clone(), error.position, error.problem.to_string()));
        errors.dedup();
        Self(errors)
    }
}

impl From<PolicyError> for PolicyErrors {
    fn from(error: PolicyError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// A place in a policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// One thing that is wrong with a policy file or its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The file or folder.
    pub file: String,
    /// Where in the file, if it is about one place.
    pub position: Option<Position>,
    /// What is wrong.
    pub problem: Problem,
}

impl std::error::Error for PolicyError {}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file or folder cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// The file is not UTF-8.
    #[error("is not UTF-8")]
    NotText,
    /// The file is too large.
    #[error("is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// All files together are too large.
    #[error("holds more than {limit} bytes of policies")]
    TooLargeTogether {
        /// The limit in bytes.
        limit: usize,
    },
    /// There are too many files or policies.
    #[error("holds more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A policy is too deep to be walked safely.
    #[error("a policy has more than {limit} {what}")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It is not Cedar.
    #[error("{}", with_help(message, help.as_deref()))]
    Syntax {
        /// What the parser says.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// It does not fit the schema.
    #[error("{}", with_help(message, help.as_deref()))]
    Invalid {
        /// What the validator says.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The policy has no `@id`.
    #[error("the policy has no `@id`")]
    MissingId,
    /// Another policy has the same `@id`.
    #[error("`@id(\"{id}\")` is taken already, at {first}")]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it stands first, as `file:line:column`.
        first: String,
    },
    /// An annotation that nobody would honour.
    #[error("unknown annotation `@{name}`; known are {known}", known = crate::annotations::known())]
    UnknownAnnotation {
        /// Its name.
        name: String,
    },
    /// An annotation with a value that its name does not allow.
    #[error("`@{name}` {rule}")]
    BadAnnotation {
        /// Its name.
        name: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// Templates have no place in a folder of policies.
    #[error("is a template; write the principal and the resource out")]
    Template,
    /// The schema or the set could not be built: a bug of ours.
    #[error("the policy engine refused its own schema or index: {0}")]
    Engine(String),
}

impl Problem {
    /// Whether it is a bug of ours and not of the policies.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        matches!(self, Self::Engine(_))
    }

    pub(crate) fn at(self, file: &str, position: Option<Position>) -> PolicyError {
        PolicyError { file: file.to_owned(), position, problem: self }
    }
}

fn with_help(message: &str, help: Option<&str>) -> String {
    help.map_or_else(|| message.to_owned(), |help| format!("{message} ({help})"))
}
