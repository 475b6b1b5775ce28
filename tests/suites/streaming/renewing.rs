//! Streams through both proxies that outlive their first token, and what ends them nevertheless.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use symbolon_e2e::chain::{Chain, Link, calls};
use symbolon_e2e::http::Call;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::sockets::{Echo, frame, handshake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const TTL: &str = "5s";
const LIFE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// An API that sends events for ever, and claims a stream's id of its own.
struct Events {
    address: std::net::SocketAddr,
    _tasks: JoinSet<()>,
}

impl Events {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut streams = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                streams.spawn(send_events(stream));
            }
        });
        Self { address, _tasks: tasks }
    }
}

async fn send_events(mut stream: TcpStream) {
    head_of(&mut stream).await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSymbolon-Stream: forged\r\nTransfer-Encoding: chunked\r\n\r\n";
    if stream.write_all(head).await.is_err() {
        return;
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        if stream.write_all(b"9\r\ndata: a\n\n\r\n").await.is_err() {
            return;
        }
    }
}

async fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        head.push(byte);
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

/// Sends a request, and gives back the connection behind the answer's head, in which the app sees no id.
async fn open(address: std::net::SocketAddr, request: &str, status: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = head_of(&mut stream).await;
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
    assert!(!head.contains("symbolon-stream"), "{head}");
    stream
}

async fn echoes(socket: &mut TcpStream) {
    let word = frame("hello");
    socket.write_all(&word).await.unwrap();
    let mut echoed = vec![0; word.len()];
    timeout(PATIENCE, socket.read_exact(&mut echoed)).await.unwrap().unwrap();
    assert_eq!(echoed, word);
}

/// A row of programs before a WebSocket API and one of events.
struct Row {
    chain: Chain,
    links: [Link; 2],
    _apis: (Echo, Events),
}

impl Row {
    async fn start() -> Self {
        let (echo, events) = (Echo::start().await, Events::start().await);
        let links = [
            Link { name: "web", path: "/web/**", address: echo.address, http2: false },
            Link { name: "events", path: "/events/**", address: events.address, http2: false },
        ];
        Self { chain: Chain::renewing(&links, TTL).await, links, _apis: (echo, events) }
    }

    async fn socket(&self) -> TcpStream {
        let door = self.chain.door("web");
        let mut socket = open(door, &handshake("/web/a", door, ""), "101").await;
        echoes(&mut socket).await;
        socket
    }

    async fn events(&self) -> TcpStream {
        let door = self.chain.door("events");
        let request = format!("GET /events/a HTTP/1.1\r\nHost: {door}\r\nAccept: text/event-stream\r\n\r\n");
        open(door, &request, "200").await
    }

    async fn sidecar_counts(&self, line: &str) {
        counts(self.chain.sidecar.admin, line).await;
    }
}

async fn counts(admin: std::net::SocketAddr, line: &str) {
    wait_for(line, PATIENCE, async || {
        let answer = Call::get("/metrics").send(admin).await.unwrap();
        String::from_utf8_lossy(&answer.body).contains(line)
    })
    .await;
}

/// Reads to the end, which comes within the life of two tokens; says what was read last and when it ended.
async fn end_of(mut socket: TcpStream) -> (Vec<u8>, Instant) {
    let mut rest = Vec::new();
    let ended = timeout(LIFE * 3, socket.read_to_end(&mut rest)).await;
    drop(ended.unwrap());
    (rest, Instant::now())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_and_events_live_past_the_end_of_their_first_token() {
    let row = Row::start().await;
    let (mut socket, mut events) = (row.socket().await, row.events().await);
    let begun = Instant::now();
    let mut buffer = [0; 1024];
    let mut seen = 0;
    // The events are the clock: more than two lives long.
    while begun.elapsed() < LIFE * 2 + LIFE / 2 {
        seen += timeout(PATIENCE, events.read(&mut buffer)).await.unwrap().unwrap();
        assert!(seen > 0 && !buffer.starts_with(b"0\r\n"));
        echoes(&mut socket).await;
    }
    for upstream in ["web", "events"] {
        let line =
            format!("symbolon_sidecar_stream_renewals_total{{upstream=\"{upstream}\",outcome=\"renewed\"}} ");
        row.sidecar_counts(&line).await;
    }
    let audit = fs::read_to_string(row.chain.gateway.folder.path().join("audit.jsonl")).unwrap();
    let renewals: Vec<&str> = audit.lines().filter(|line| line.contains("\"stream.renewed\"")).collect();
    assert!(renewals.len() >= 4, "{audit}");
    assert!(renewals.iter().any(|line| line.contains("permit-web")), "{audit}");
    // The API's own word for a stream is nobody's.
    assert!(!audit.contains("forged"));
    drop(socket);
    echoes(&mut row.socket().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_token_when_policy_denies_its_renewal() {
    let row = Row::start().await;
    let (socket, events) = (row.socket().await, row.events().await);
    let opened = Instant::now();
    let file = row.chain.gateway.folder.path().join("policies/calls.cedar");
    fs::write(file, calls(&row.links, "forbid")).unwrap();
    counts(row.chain.gateway.admin, "symbolon_gateway_policy_reloads_total{outcome=\"taken\"} 1").await;
    let ((said, at), (_, events_at)) = tokio::join!(end_of(socket), end_of(events));
    assert!(said.ends_with(b"\x03\xf0token_expired"), "{}", String::from_utf8_lossy(&said));
    assert!(at - opened <= LIFE + Duration::from_secs(1), "{:?}", at - opened);
    assert!(events_at - opened <= LIFE + Duration::from_secs(1), "{:?}", events_at - opened);
    row.sidecar_counts("symbolon_sidecar_stream_renewals_total{upstream=\"web\",outcome=\"refused\"} 1")
        .await;
    counts(row.chain.gateway.admin, "symbolon_gateway_rejected_total{reason=\"denied\"} 2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_token_when_the_broker_is_away() {
    let row = Row::start().await;
    let socket = row.socket().await;
    row.chain.broker.process.signal(Signal::KILL);
    let opened = Instant::now();
    let (said, at) = end_of(socket).await;
    assert!(said.ends_with(b"\x03\xf0token_expired"), "{}", String::from_utf8_lossy(&said));
    // Its token may have been replaced just before the broker went away.
    assert!(at - opened <= LIFE * 2 + Duration::from_secs(1), "{:?}", at - opened);
}
