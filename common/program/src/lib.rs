#![doc = include_str!("../README.md")]

mod exit;
mod options;

pub use exit::{Exit, chain, fail};
pub use options::{ConfigCommand, ServeOptions, parse, schema};
