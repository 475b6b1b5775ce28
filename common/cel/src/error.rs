//! What is wrong with an expression at load, and what went wrong when one was evaluated.
//! No value that was evaluated appears here: it may come from a request or a token.

use std::fmt;

use crate::shape::Shape;

/// A place in an expression, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

/// Why an expression was refused at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Where in the expression.
    pub position: Position,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        write!(f, "expression {line}:{column}: {}", self.problem)
    }
}

impl std::error::Error for CompileError {}

/// The kinds of things that can be wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not an expression of the language.
    #[error("{0}")]
    Syntax(String),
    /// Longer than [`MAX_SOURCE_BYTES`](crate::MAX_SOURCE_BYTES).
    #[error("longer than 4096 bytes")]
    TooLong,
    /// Nested too deeply.
    #[error("nested too deeply")]
    TooDeep,
    /// More than two loops inside one another.
    #[error("more than two of `all`, `exists`, `map`, `filter` inside one another")]
    TooManyLoops,
    /// A variable that is not declared here.
    #[error("unknown variable `{name}`{}", DidYouMean(nearest))]
    UnknownVariable {
        /// The name.
        name: String,
        /// The declared name that it resembles most.
        nearest: Option<String>,
    },
    /// A field that the record does not have.
    #[error("unknown field `{name}` of `{of}`{}", DidYouMean(nearest))]
    UnknownField {
        /// The name.
        name: String,
        /// The expression whose field was asked for.
        of: String,
        /// The declared field that it resembles most.
        nearest: Option<String>,
    },
    /// A function that is not offered here.
    #[error("unknown function `{name}`{}", DidYouMean(nearest))]
    UnknownFunction {
        /// The name.
        name: String,
        /// The function that it resembles most.
        nearest: Option<String>,
    },
    /// A function with the wrong number of arguments, or called in the wrong form.
    #[error("`{name}` is called as `{usage}`")]
    WrongCall {
        /// The function.
        name: String,
        /// How it is called.
        usage: &'static str,
    },
    /// A value where another shape is needed.
    #[error("{what} needs {expected}, this is {found}")]
    WrongShape {
        /// The operator, function or place.
        what: String,
        /// What is needed.
        expected: String,
        /// What is there.
        found: Shape,
    },
    /// Two values compared or combined that can never fit.
    #[error("`{operator}` between {left} and {right}")]
    Mismatch {
        /// The operator.
        operator: String,
        /// The shape on the left.
        left: Shape,
        /// The shape on the right.
        right: Shape,
    },
    /// Something that the language has and we do not take.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A loop variable named like a declared variable or an outer loop variable.
    #[error("the loop variable `{0}` hides another variable")]
    Shadowed(String),
    /// A pattern that is not a regular expression, or too large a one.
    #[error("not a valid pattern: {0}")]
    Pattern(String),
    /// A mapping to a path whose parts could be confused with one another.
    #[error("{0}")]
    AmbiguousPath(&'static str),
    /// The parser failed in a way that it should not.
    #[error("the expression could not be parsed")]
    Internal,
}

/// The tail of an "unknown" message.
struct DidYouMean<'a>(&'a Option<String>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |nearest| write!(f, ", did you mean `{nearest}`?"))
    }
}

/// Why an evaluation gave no result. A caller refuses what it was about to allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A declared variable was not bound.
    #[error("variable `{0}` is not bound")]
    Unbound(String),
    /// A field or key that the value does not have; named only if the expression itself names it.
    #[error("{}", match .0 { Some(key) => format!("`{key}` is absent"), None => "a key is absent".to_owned() })]
    Absent(Option<String>),
    /// An operator or function met values that it does not take.
    #[error("the values do not fit `{0}`")]
    Mismatch(String),
    /// A function refused its arguments.
    #[error("`{function}`: {reason}")]
    Refused {
        /// The function.
        function: String,
        /// Why, without the value.
        reason: String,
    },
    /// Arithmetic that overflows or divides by zero.
    #[error("arithmetic out of range")]
    Arithmetic,
    /// A list index beyond the end.
    #[error("index out of bounds")]
    OutOfBounds,
    /// The result is not of the kind that the caller needs.
    #[error("the result is not {0}")]
    WrongResult(&'static str),
    /// The result is longer than 8 KiB.
    #[error("the result is too long")]
    TooLong,
    /// Any other failure of the interpreter.
    #[error("the expression failed")]
    Failed,
}
