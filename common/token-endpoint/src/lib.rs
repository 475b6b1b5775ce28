#![doc = include_str!("../README.md")]

mod endpoint;
mod reply;

pub use endpoint::{AskError, Place, SetupError, TokenEndpoint, proof_header};
pub use reply::{Reply, is_token};
