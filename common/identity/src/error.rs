//! Why a text is not one of our words.
//! Not here: whether a well-formed word is true.

/// A text that does not have the form of the word it should be.
///
/// The message names the kind and the rule that was broken and repeats the input only in a bounded, escaped form,
/// so that it can be logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The text is empty.
    #[error("{kind} is empty")]
    Empty {
        /// What the text should have been.
        kind: &'static str,
    },
    /// The text is longer than the limit of its kind.
    #[error("{kind} is {length} bytes long, the limit is {limit}")]
    TooLong {
        /// What the text should have been.
        kind: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The text breaks the form of its kind.
    #[error("`{text}` is not a {kind}: {rule}")]
    Form {
        /// What the text should have been.
        kind: &'static str,
        /// The beginning of the text, escaped.
        text: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The number of seconds lies beyond the year 9999.
    #[error("{seconds} seconds since 1970 lie beyond the year 9999")]
    TimeOutOfRange {
        /// The seconds that were given.
        seconds: u64,
    },
}

impl IdentityError {
    pub(crate) fn form(kind: &'static str, text: &str, rule: &'static str) -> Self {
        Self::Form { kind, text: text.chars().take(64).flat_map(char::escape_default).collect(), rule }
    }
}
