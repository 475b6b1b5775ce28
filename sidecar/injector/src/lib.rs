#![doc = include_str!("../README.md")]

pub mod admission_policy;
mod certificates;
pub mod cli;
pub mod config;
pub mod inject;
mod injector;
mod metrics;
mod reload;
pub mod render;
mod settings;
mod version;
mod webhook;

pub use config::Config;
pub use inject::{Circumstances, Operation, Outcome, Selection, inject};
pub use injector::{Addresses, Injector, StartError};
pub use render::render;
pub use settings::Settings;
