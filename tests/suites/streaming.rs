//! Streams through sidecar and gateway: foreign clients and servers, refused handshakes, the end of a token.
//! Not here: single parts, which are tested over sockets beside the code.

mod foreign;
mod memory;
mod refused;
mod renewing;
mod rules;
mod stolen;
