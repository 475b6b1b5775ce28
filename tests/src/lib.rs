#![doc = include_str!("../README.md")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

pub mod api;
pub mod dev;
pub mod http;
pub mod issuer;
pub mod jwks;
pub mod machine;
pub mod process;
pub mod programs;
pub mod ring;
