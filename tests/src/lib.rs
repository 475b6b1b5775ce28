#![doc = include_str!("../README.md")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

pub mod api;
pub mod certificates;
pub mod chain;
pub mod dev;
pub mod events;
pub mod http;
pub mod introspection;
pub mod issuer;
pub mod jwks;
pub mod keycloak;
pub mod kubernetes;
pub mod machine;
pub mod process;
pub mod programs;
pub mod refusals;
pub mod ring;
pub mod sockets;
