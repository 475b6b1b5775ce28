//! How a program ends: the codes, and the words on the standard error before one of them.
//! Not here: the end of one that was told to stop (`symbolon_daemon::Ended`).

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

/// Why a program ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It failed.
    Failed,
    /// The configuration or a policy is not valid: starting again will not mend it.
    Invalid,
    /// The command line is wrong (`EX_USAGE`).
    Usage,
    /// A socket, the store or a key cannot be had (`EX_UNAVAILABLE`).
    Unavailable,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Invalid => 3,
            Self::Usage => 64,
            Self::Unavailable => 69,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Says on the standard error what went wrong in which program, and gives the code back.
pub fn fail(program: &str, error: &(dyn Error + 'static), exit: Exit) -> ExitCode {
    // Nobody is left to tell if this fails.
    let _ = writeln!(std::io::stderr(), "{program}: {}", chain(error));
    exit.into()
}

/// An error and its causes on one line.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // A transparent error repeats its cause.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_documented_ones() {
        let all = [Exit::Failed, Exit::Invalid, Exit::Usage, Exit::Unavailable];
        assert_eq!(all.map(Exit::code), [1, 3, 64, 69]);
    }

    #[test]
    fn causes_are_named_once() {
        let parsed = "x".parse::<u8>().unwrap_err();
        let wrapped = std::io::Error::other(parsed);
        assert_eq!(chain(&wrapped), "invalid digit found in string");
    }
}
