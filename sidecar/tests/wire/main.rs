//! The sidecar over real sockets, between a fake broker and a fake API that are real HTTP servers.
//! Not here: the real broker and gateway; the workspace's own suites run all three together.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod api;
mod broker;
mod caller;
mod rig;

mod callers;
mod credentials;
mod evidence;
mod forwarding;
mod health;
mod program;
mod renewals;
mod tokens;
