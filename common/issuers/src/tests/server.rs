//! A key server that answers by hand, so that it can answer wrongly.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What the server answers when it is asked for keys.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// 200 with this body.
    Keys(String),
    /// 200 with this body and these further header lines.
    With(String, &'static str),
    /// This status and body.
    Status(u16, String),
    /// Nothing: the connection is closed.
    Close,
    /// Nothing: the connection stays open.
    Silence,
    /// The answer comes when the gate is opened.
    Gate(String, Arc<Notify>),
    /// A body that is said to be a gibibyte long.
    Huge,
    /// A body without an end, in chunks.
    Endless,
    /// Half of the body that was announced.
    Truncated(String),
}

/// A key server on a free port; it stops when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    keys: Mutex<Answer>,
    metadata: Mutex<Option<String>>,
    oauth_metadata: Mutex<Option<String>>,
    hits: AtomicUsize,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            keys: Mutex::new(Answer::Close),
            metadata: Mutex::default(),
            oauth_metadata: Mutex::default(),
            hits: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, _tasks: tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn keys_url(&self) -> String {
        format!("{}/keys", self.url())
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.state.keys.lock().unwrap() = answer;
    }

    pub(super) fn metadata(&self, document: &str) {
        *self.state.metadata.lock().unwrap() = Some(document.to_owned());
    }

    pub(super) fn oauth_metadata(&self, document: &str) {
        *self.state.oauth_metadata.lock().unwrap() = Some(document.to_owned());
    }

    /// How often it was asked for keys.
    pub(super) fn hits(&self) -> usize {
        self.state.hits.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let answer = if head.starts_with("GET /keys ") {
        state.hits.fetch_add(1, Ordering::SeqCst);
        state.keys.lock().unwrap().clone()
    } else {
        let document = if head.starts_with("GET /.well-known/openid-configuration ") {
            state.metadata.lock().unwrap().clone()
        } else {
            state.oauth_metadata.lock().unwrap().clone()
        };
        document.map_or_else(|| Answer::Status(404, String::new()), Answer::Keys)
    };
    let _ = write(&mut stream, answer).await;
}

async fn write(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    match answer {
        Answer::Keys(body) => whole(stream, 200, "", &body).await,
        Answer::With(body, headers) => whole(stream, 200, headers, &body).await,
        Answer::Status(status, body) => whole(stream, status, "Location: /elsewhere\r\n", &body).await,
        Answer::Close => Ok(()),
        Answer::Silence => std::future::pending().await,
        Answer::Gate(body, gate) => {
            gate.notified().await;
            whole(stream, 200, "", &body).await
        }
        Answer::Huge => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{\"keys\":[").await?;
            std::future::pending().await
        }
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        Answer::Truncated(body) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body.as_bytes()[..body.len() / 2]).await
        }
    }
}

async fn whole(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}
