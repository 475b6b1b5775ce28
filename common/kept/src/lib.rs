#![doc = include_str!("../README.md")]

mod api;
mod authorities;
mod authority;
mod seen;

pub use api::{ApiConfig, ApiError, ApiServer};
pub use authorities::{bundle, due, read, write};
pub use authority::{Authority, IssueError, Leaf};
pub use seen::Seen;
