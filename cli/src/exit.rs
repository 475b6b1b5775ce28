//! The exit codes of `symbolon`, stable and documented.
//! Not here: who decides which one it is.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or the decision allowed it.
    Ok,
    /// It failed.
    Failed,
    /// The decision denied or refused it.
    Denied,
    /// A policy or a configuration is not valid.
    Invalid,
    /// Whether it is allowed cannot be told: a policy could not be evaluated.
    Undetermined,
    /// The command line is wrong (`EX_USAGE`).
    Usage,
    /// A program that is needed does not answer (`EX_UNAVAILABLE`).
    Unavailable,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Denied => 2,
            Self::Invalid => 3,
            Self::Undetermined => 4,
            Self::Usage => 64,
            Self::Unavailable => 69,
        }
    }

    /// The end that a program of ours means by this number.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    const ALL: [Self; 7] = [
        Self::Ok,
        Self::Failed,
        Self::Denied,
        Self::Invalid,
        Self::Undetermined,
        Self::Usage,
        Self::Unavailable,
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failure with the exit code that fits it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// What the shell sees.
    pub(crate) exit: Exit,
    message: String,
}

impl Failure {
    /// A wrong command line, found after it was parsed.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// A configuration that a program refused.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { exit: Exit::Invalid, message: message.into() }
    }

    /// A program that does not answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unavailable, message: message.into() }
    }

    /// A denial.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self { exit: Exit::Denied, message: message.into() }
    }
}

/// The exit code of an error: its own if it carries one, otherwise "failed".
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>())
        .map_or(Exit::Failed, |failure| failure.exit)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_failure_keeps_its_code_under_context() {
        let error = Err::<(), _>(Failure::unavailable("no answer")).context("asking the broker").unwrap_err();
        assert_eq!(of(&error), Exit::Unavailable);
        assert_eq!(of(&anyhow::anyhow!("other")), Exit::Failed);
    }

    #[test]
    fn the_numbers_are_the_documented_ones() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 64, 69]);
        assert_eq!(Exit::of_code(69), Some(Exit::Unavailable));
        assert_eq!(Exit::of_code(5), None);
    }
}
