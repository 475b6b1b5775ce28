#![doc = include_str!("../README.md")]

pub mod config;
pub mod inject;
mod settings;

pub use config::Config;
pub use inject::{Circumstances, Operation, Outcome, Selection, inject};
pub use settings::Settings;
