//! Raw bytes to a port and what comes back, so that no client library tidies up what is sent.
//! Not here: TLS and HTTP/2.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// One answer; status 0 if the peer closed without one.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: Vec<u8>,
}

pub(crate) async fn ask(address: &str, bytes: &[u8]) -> Answer {
    exchange(TcpStream::connect(address).await.unwrap(), bytes).await
}

pub(crate) async fn ask_socket(path: &std::path::Path, target: &str) -> Answer {
    let raw = format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
    exchange(UnixStream::connect(path).await.unwrap(), raw.as_bytes()).await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Answer {
    let mut received = Vec::new();
    let talk = async {
        // The gateway may close before it has read everything.
        let _refused = stream.write_all(bytes).await;
        let _reset = stream.read_to_end(&mut received).await;
    };
    tokio::time::timeout(Duration::from_secs(20), talk).await.expect("an answer in time");
    Answer::parse(&received)
}

impl Answer {
    fn parse(received: &[u8]) -> Self {
        let end =
            received.windows(4).position(|four| four == b"\r\n\r\n").map_or(received.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let mut body = received[end..].to_vec();
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body = unchunk(&body);
        }
        Self { status, head, body }
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON in {self:?}"))
    }

    /// The reason code of a rejection.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// What the API saw under this header name: all values.
    pub(crate) fn seen(&self, name: &str) -> Vec<String> {
        let body = self.json();
        let headers = body["headers"].as_array().unwrap_or_else(|| panic!("not an echo: {self:?}"));
        let given = headers.iter().filter(|pair| pair[0].as_str() == Some(name));
        given.map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
    }

    /// The header names that the API saw.
    pub(crate) fn names(&self) -> Vec<String> {
        let body = self.json();
        body["headers"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap().to_owned()).collect()
    }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}
