//! The gateway over real sockets: an issuer, an API that echoes, and raw requests between them.
//! Not here: the other programs; the workspace's own suites join them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::expect_used, reason = "a test may panic")]
#![expect(clippy::panic, reason = "a test may panic")]

mod harness;

mod configuration;
mod firewall;
mod framing;
mod keys;
mod operators;
mod program;
mod proofs;
mod routing;
mod stages;
mod tokens;
