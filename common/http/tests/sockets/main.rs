//! What the server, the client and the forwarder do over real sockets.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::panic, reason = "a test may panic")]

mod client;
mod drain;
mod forward;
mod http2;
mod raw;
mod server;
mod smuggling;
mod support;
mod tls;
mod trouble;
mod unix;
mod uploads;
mod upstream;
mod websocket;
