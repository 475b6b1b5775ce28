//! What is wrong with a configuration, and where.
//! No value from the file appears here: a value may be a secret.

use std::fmt;

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file's name, or the environment variable that overrode the value.
    pub origin: String,
    /// Where in the file; absent for environment variables and unreadable files.
    pub position: Option<Position>,
    /// The path of the value, such as `routes[2].upstream.url`; empty at the root.
    pub path: String,
    /// What is wrong.
    pub problem: Box<Problem>,
}

/// The kinds of things that can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The file is larger than [`MAX_CONFIG_BYTES`](crate::MAX_CONFIG_BYTES).
    #[error("larger than 1 MiB")]
    TooLarge,
    /// The text is not YAML.
    #[error("not valid YAML: {0}")]
    Syntax(String),
    /// YAML that we refuse on purpose: aliases, tags, deep nesting, several documents.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A key twice in one mapping.
    #[error("key `{key}` is given twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A key that nothing reads.
    #[error("unknown key `{key}`{}", Suggestion(nearest, known))]
    UnknownKey {
        /// The key.
        key: String,
        /// The known key that it resembles most.
        nearest: Option<String>,
        /// All known keys.
        known: Vec<String>,
    },
    /// A word that is none of the choices.
    #[error("unknown choice `{choice}`{}", Suggestion(nearest, known))]
    UnknownChoice {
        /// The word.
        choice: String,
        /// The choice that it resembles most.
        nearest: Option<String>,
        /// All choices.
        known: Vec<String>,
    },
    /// A key that must be there.
    #[error("missing key `{key}`")]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A value of the wrong type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What the field wants.
        expected: String,
        /// What kind of value is there.
        found: String,
    },
    /// A value that the field's own type refused.
    #[error("{0}")]
    Invalid(String),
    /// A `${…}` that could not be resolved, or stands where none is read.
    #[error("{0}")]
    Reference(String),
    /// An override that does not fit the file.
    #[error("{0}")]
    Override(String),
    /// Two settings that cannot both be meant.
    #[error("{0}")]
    Contradiction(String),
}

/// The tail of an "unknown" message: the nearest name, else all names if they are few.
struct Suggestion<'a>(&'a Option<String>, &'a [String]);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(nearest), _) => write!(f, ", did you mean `{nearest}`?"),
            (None, []) => f.write_str(", none is known here"),
            (None, known) if known.len() <= 12 => write!(f, ", known are `{}`", known.join("`, `")),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, " (at `{}`)", self.path) }
    }
}

impl std::error::Error for ConfigError {}

/// Everything that was found wrong, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// No errors is `Ok`, some are `Err`, in the order of the file.
    ///
    /// # Errors
    /// When `errors` is not empty.
    pub fn check(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|error| error.position);
        errors.dedup();
        Err(Self(errors))
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
