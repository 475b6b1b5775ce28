//! What is odd about a valid set of policies.
//! Not here: what makes it invalid (`errors`).

use std::fmt;

use crate::Position;

/// Something that an operator should know about a set that is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWarning {
    /// The file, if it is about one.
    pub file: Option<String>,
    /// Where in the file, if it is about one place.
    pub position: Option<Position>,
    /// What is odd.
    pub warning: Warning,
}

impl PolicyWarning {
    pub(crate) fn of_set(warning: Warning) -> Self {
        Self { file: None, position: None, warning }
    }
}

impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}")?;
            if let Some(Position { line, column }) = self.position {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": ")?;
        }
        write!(f, "{}", self.warning)
    }
}

/// What is odd about a set of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// There is no policy at all.
    Empty,
    /// A policy can never apply; this is what the validator says.
    NeverApplies(String),
    /// Many policies name neither a resource nor a principal, so each question walks through all of them.
    LargeRemainder {
        /// How many.
        policies: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "there are no policies, so everything is denied"),
            Self::NeverApplies(message) => write!(f, "{message}"),
            Self::LargeRemainder { policies } => write!(
                f,
                "{policies} policies name neither a resource nor a principal in their heads, so each question has to walk through all of them"
            ),
        }
    }
}
