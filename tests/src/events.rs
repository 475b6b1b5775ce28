//! An API whose answers never end: one event, then silence.
//! Not an HTTP library: those come to the tests from outside, unmodified.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What every answer begins with, and never goes on from.
pub const EVENT: &str = "data: first\n\n";

/// A running API; it ends with this.
#[derive(Debug)]
pub struct Events {
    /// Where it listens.
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Events {
    /// Starts it.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut answers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                answers.spawn(answer(stream));
                while answers.try_join_next().is_some() {}
            }
        });
        Self { address, _tasks: tasks }
    }
}

async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let begun = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{EVENT}\r\n",
        EVENT.len()
    );
    if stream.write_all(begun.as_bytes()).await.is_ok() {
        // Until the other side has enough.
        let _ = stream.read(&mut [0; 16]).await;
    }
}
