#![doc = include_str!("../README.md")]

mod bindings;
mod check;
mod environment;
mod error;
mod functions;
mod parse;
mod program;
mod shape;
mod value;

pub use bindings::Bindings;
pub use environment::{Environment, EnvironmentBuilder};
pub use error::{CompileError, EvalError, Position, Problem};
pub use parse::MAX_SOURCE_BYTES;
pub use program::Program;
pub use shape::{KeyCase, Shape};
pub use value::{MAX_ELEMENTS, Value, ValueError};
