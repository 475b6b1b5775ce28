//! A client that writes bytes, for what a well-behaved client would never send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::soon;

/// Sends `bytes` and reads until the peer closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut connection = Raw::connect(address).await;
    // The peer may refuse half-way and close, which is an answer too.
    let _ = connection.stream.write_all(bytes).await;
    connection.rest().await
}

/// One raw connection.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: soon("a connection", TcpStream::connect(address)).await.unwrap() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon("a write", self.stream.write_all(bytes)).await.unwrap();
    }

    /// Reads until what was read contains `needle`.
    pub(crate) async fn until(&mut self, needle: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(needle) {
            let mut buffer = [0; 4096];
            let count = soon(needle, self.stream.read(&mut buffer)).await.unwrap();
            assert!(count > 0, "closed before `{needle}`: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads until the peer closes; a reset is a close.
    pub(crate) async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = soon("the end", self.stream.read(&mut buffer)).await {
            read.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&read).into_owned()
    }
}

/// The status of an answer; 0 if there is none.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}
