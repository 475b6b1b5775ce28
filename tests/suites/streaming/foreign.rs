//! Unmodified clients and servers of other people at both ends: `ws`, `websockets`, `httpx`, `grpcio`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::chain::{Chain, Link};
use symbolon_e2e::http::Call;
use symbolon_e2e::machine::{cache, free_address};
use symbolon_e2e::process::{Process, wait_for, workspace};
use symbolon_e2e::sockets::{frame, open};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Long enough for everything that comes before the end of a token, short enough to wait for it.
const TTL: &str = "6s";
const CALLER: &str = "spiffe://test.example/local/uid/";

/// The programs, and the foreign servers behind them.
struct Streaming {
    chain: Chain,
    _server: Process,
    _folder: TempDir,
}

impl Streaming {
    async fn start() -> Self {
        let (web, events, grpc) = (free_address(), free_address(), free_address());
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/interop/python/streams_server.py"));
        command.args([web, events, grpc].map(|address| address.port().to_string()));
        let mut server = Process::start("server", command, folder.path());
        wait_for("the foreign servers listen", Duration::from_secs(20), async || {
            assert!(server.is_running(), "{}", server.log());
            server.log().contains("ready")
        })
        .await;
        let links = [
            Link { name: "web", path: "/web/**", address: web, http2: false },
            Link { name: "events", path: "/events/**", address: events, http2: false },
            Link { name: "grpc", path: "/test.Streams/**", address: grpc, http2: true },
        ];
        Self { chain: Chain::start(&links, TTL).await, _server: server, _folder: folder }
    }

    async fn gateway_metrics(&self) -> String {
        let answer = Call::get("/metrics").send(self.chain.gateway.admin).await.unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }
}

fn python() -> PathBuf {
    let python = cache().join("interop-python/bin/python");
    assert!(python.exists(), "{} is missing: run `scripts/setup tests`", python.display());
    python
}

/// Runs a client, and returns what it prints.
async fn run(mut command: Command) -> Value {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.trim())
        .unwrap_or_else(|_| panic!("{said}\n{}", String::from_utf8_lossy(&output.stderr)))
}

async fn python_client(kind: &str, streaming: &Streaming, door: &str) -> Value {
    let mut command = Command::new(python());
    command.arg(workspace().join("tests/interop/python/streams_client.py"));
    command.args([kind, &streaming.chain.door(door).to_string()]);
    run(command).await
}

/// Not before the token ended, and at most a second after.
fn assert_cut_in_time(said: &Value) {
    let late = said["at"].as_f64().unwrap() - said["exp"].as_f64().unwrap();
    assert!((-0.01..=1.0).contains(&late), "cut {late} s after the end of the token: {said}");
    eprintln!("cut {late:.3} s after the end of the token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_websockets_pass_and_end_with_their_token() {
    let streaming = Streaming::start().await;
    let said = python_client("websocket", &streaming, "web").await;
    assert_eq!(said["echoed"], json!([true, true, true]), "{said}");
    assert!(said["workload"].as_str().unwrap().starts_with(CALLER), "{said}");
    assert_eq!((&said["code"], &said["reason"]), (&json!(1008), &json!("token_expired")), "{said}");
    assert_cut_in_time(&said);
    let ticking = &said["ticking"];
    assert!(ticking["ticks"].as_u64().unwrap() > 5, "{said}");
    // The library answers a cut within a frame with 1006, which it does not call received.
    assert!(ticking["code"] == json!(1008) || ticking["code"].is_null(), "{said}");
    assert_cut_in_time(ticking);
    assert_eq!(said["refused"], json!([403, "not today"]), "{said}");
    let metrics = streaming.gateway_metrics().await;
    for line in [
        "symbolon_ws_active_connections 0",
        "symbolon_ws_handshakes_total{route=\"web\",outcome=\"accepted\",reason=\"\"} 2",
        "symbolon_ws_handshakes_total{route=\"web\",outcome=\"refused\",reason=\"upstream\"} 1",
        "symbolon_ws_disconnects_total{route=\"web\",reason=\"token_expired\"} 2",
        "symbolon_ws_connection_duration_seconds_count 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

/// What a client must not send (RFC 6455 §5): the gateway passes it on unread, the server says no, and that passes too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_frames_are_the_servers_to_refuse_and_its_word_arrives() {
    let streaming = Streaming::start().await;
    let long_ping = [&b"\x89\xfe\x00\x7e\x00\x00\x00\x00"[..], &[b'x'; 126]].concat();
    let wrong: [(&str, &[u8], u16); 6] = [
        ("unmasked", b"\x81\x02hi", 1002),
        ("a length of 2^63", b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 1009),
        ("a long control frame", &long_ping, 1002),
        ("a control frame in pieces", b"\x09\x80\x00\x00\x00\x00", 1002),
        ("a reserved bit", b"\xb1\x80\x00\x00\x00\x00", 1002),
        ("an unknown kind", b"\x83\x80\x00\x00\x00\x00", 1002),
    ];
    for (what, frame, code) in wrong {
        let mut socket = open("/web/echo", streaming.chain.door("web")).await.unwrap();
        socket.write_all(frame).await.unwrap();
        let mut said = Vec::new();
        socket.read_to_end(&mut said).await.unwrap();
        let close = said.windows(4).find(|bytes| bytes[0] == 0x88).unwrap();
        let got = u16::from_be_bytes([close[2], close[3]]);
        assert!(got == code || got == 1002, "{what}: {got}");
    }
    let mut socket = open("/web/echo", streaming.chain.door("web")).await.unwrap();
    let word = frame(&"x".repeat(100));
    for byte in &word {
        socket.write_all(&[*byte]).await.unwrap();
    }
    let mut said = Vec::new();
    while !said.ends_with(&[b'x'; 100]) {
        assert!(socket.read_buf(&mut said).await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_ws_passes_and_ends_with_its_token() {
    let packages = cache().join("interop-node");
    assert!(packages.join("node_modules/ws").exists(), "ws is missing: run `scripts/setup tests`");
    let streaming = Streaming::start().await;
    let mut command = Command::new("node");
    command.arg(workspace().join("tests/interop/node/streams.mjs")).env("SYMBOLON_INTEROP_NODE", packages);
    command.arg(streaming.chain.door("web").to_string());
    let said = run(command).await;
    assert_eq!(said["echoed"], json!([true, true]), "{said}");
    assert_eq!((&said["code"], &said["reason"]), (&json!(1008), &json!("token_expired")), "{said}");
    assert_eq!(said["refused"], 403, "{said}");
    assert_cut_in_time(&said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn httpx_reads_events_as_they_come_until_its_token_ends() {
    let streaming = Streaming::start().await;
    let said = python_client("events", &streaming, "events").await;
    assert_eq!(said["type"], "text/event-stream", "{said}");
    assert!(said["events"].as_u64().unwrap() > 10 && said["in_order"] == json!(true), "{said}");
    assert!(said["longest_gap"].as_f64().unwrap() < 1.0, "events are held back: {said}");
    assert_eq!(said["ended"], "broken off", "{said}");
    assert_cut_in_time(&said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpcio_calls_every_way_and_ends_with_its_token() {
    let streaming = Streaming::start().await;
    let said = python_client("grpc", &streaming, "grpc").await;
    for (member, expected) in [
        ("unary", json!(100_000)),
        ("trailer", json!("100000")),
        ("client_stream", json!("abc")),
        ("server_stream", json!(500)),
        ("both_streams", json!(20)),
        ("failed", json!(["NOT_FOUND", "no such thing"])),
        ("cancelled", json!("yes")),
        ("cut", json!(["UNAUTHENTICATED", "token_expired"])),
    ] {
        assert_eq!(said[member], expected, "{member}: {said}");
    }
    assert!(said["workload"].as_str().unwrap().starts_with(CALLER), "{said}");
    assert_cut_in_time(&said);
}
