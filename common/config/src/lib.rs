#![doc = include_str!("../README.md")]

mod duration;
mod environment;
mod error;
mod load;
mod nearest;
pub mod protected_file;
mod schema;
mod secret;
mod tree;
mod typed;
mod watch;

pub use duration::{DurationError, HumanDuration};
pub use environment::Environment;
pub use error::{ConfigError, ConfigErrors, Position, Problem};
pub use load::{Loaded, MAX_CONFIG_BYTES, load, parse_str};
pub use nearest::nearest;
pub use schema::schema;
pub use secret::Secret;
pub use watch::Watch;
