#![doc = include_str!("../README.md")]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod admin;
pub mod body;
pub mod client;
mod executor;
pub mod forward;
pub mod grpc;
mod places;
pub mod server;
pub mod streams;
pub mod target;
pub mod tls;
mod tls_fault;
pub mod tunnel;
pub mod upgrade;

pub use body::{Body, BodyError};
pub use tls_fault::TlsFault;
