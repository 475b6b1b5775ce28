//! What is open when its token is taken back, and what becomes of it.
//! Not here: streams whose token expires (`streaming`).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use symbolon_e2e::events::{EVENT, Events};
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::machine::{moment, now};
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Gateway;
use symbolon_e2e::sockets::{Echo, frame, handshake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{NOTES, Revoking, local};

/// A close frame of a server: 1008 `revoked`.
const REVOKED: &[u8] = b"\x88\x09\x03\xf0revoked";
const SOON: Duration = Duration::from_secs(2);

/// Broker and gateway, with a route to an API that speaks WebSocket, and one to an API that tells events.
struct Streams {
    revoking: Revoking,
    _events: Events,
    _chat: Echo,
}

impl Streams {
    async fn start() -> Self {
        let (chat, events) = (Echo::start().await, Events::start().await);
        let route = |name: &str, address: SocketAddr| {
            format!(
                "\x20 - {{ name: {name}, match: {{ path: /{name} }}, resource: \"{NOTES}\", upstream: {{ url: \"http://{address}\", max_requests: 2 }}, stages: [{{ verify: {{ issuers: [broker] }} }}] }}\n"
            )
        };
        let routes = [route("chat", chat.address), route("events", events.address)].concat();
        Self { revoking: Revoking::with_routes("", &routes).await, _events: events, _chat: chat }
    }

    /// A token that the gateway admits by now.
    async fn token(&self) -> String {
        let token = self.revoking.token().await;
        self.revoking.passes(&token).await;
        token
    }

    async fn chat(&self, token: &str) -> TcpStream {
        let address = self.revoking.gateway.address;
        let mut socket = TcpStream::connect(address).await.unwrap();
        let asked = handshake("/chat", address, &format!("Authorization: Bearer {token}\r\n"));
        socket.write_all(asked.as_bytes()).await.unwrap();
        until(&mut socket, b"\r\n\r\n", "HTTP/1.1 101 ").await;
        echoes(&mut socket).await;
        socket
    }

    async fn events(&self, token: &str) -> TcpStream {
        let address = self.revoking.gateway.address;
        let mut socket = TcpStream::connect(address).await.unwrap();
        let asked =
            format!("GET /events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
        socket.write_all(asked.as_bytes()).await.unwrap();
        until(&mut socket, format!("{EVENT}\r\n").as_bytes(), "HTTP/1.1 200 ").await;
        socket
    }

    async fn metrics(&self) -> String {
        let answer = Call::get("/metrics").send(self.revoking.gateway.admin).await.unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    }
}

/// Reads until `end`; what comes begins with `begin`.
async fn until(socket: &mut TcpStream, end: &[u8], begin: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(end) {
        let byte = socket.read_u8().await;
        seen.push(byte.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&seen))));
    }
    assert!(seen.starts_with(begin.as_bytes()), "{}", String::from_utf8_lossy(&seen));
}

async fn echoes(socket: &mut TcpStream) {
    let sent = frame("hello");
    socket.write_all(&sent).await.unwrap();
    let mut echoed = vec![0; sent.len()];
    socket.read_exact(&mut echoed).await.unwrap();
    assert_eq!(echoed, sent);
}

/// All that still comes, which must end soon.
async fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(SOON, socket.read_to_end(&mut rest)).await;
    // A connection that is reset has ended as well.
    let _ = ended.unwrap();
    rest
}

#[tokio::test]
async fn what_is_open_of_a_revoked_token_ends_at_once_and_what_is_of_others_stays() {
    let streams = Streams::start().await;
    let (token, other) = (streams.token().await, streams.token().await);
    let (mut chat, mut events) = (streams.chat(&token).await, streams.events(&token).await);
    let (mut other_chat, mut other_events) = (streams.chat(&other).await, streams.events(&other).await);
    let call = Call::form("/oauth2/revoke", &[("token", token.as_str())]);
    let from = Instant::now();
    assert_eq!(call.send(streams.revoking.broker.socket().as_path()).await.unwrap().status, 200);
    assert_eq!(rest(&mut chat).await, REVOKED);
    let event_rest = rest(&mut events).await;
    let took = from.elapsed();
    assert!(took < SOON, "{took:?}");
    eprintln!("both ended {took:?} after the revocation");
    assert!(!event_rest.ends_with(b"0\r\n\r\n"), "nobody takes the events for whole: {event_rest:?}");
    echoes(&mut other_chat).await;
    let mut byte = [0];
    assert!(
        other_events.try_read(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    );
    let metrics = streams.metrics().await;
    for line in [
        "symbolon_ws_disconnects_total{route=\"chat\",reason=\"revoked\"} 1\n",
        "symbolon_ws_active_connections 1\n",
        "symbolon_gateway_revoked_streams_total 2\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    streams.revoking.operator(&json!({"kind": "workload", "value": local()})).await;
    assert_eq!(rest(&mut other_chat).await, REVOKED, "an operator's revocation of the workload too");
    rest(&mut other_events).await;
}

#[tokio::test]
async fn a_revocation_reaches_what_was_open_before_a_reload() {
    let streams = Streams::start().await;
    let token = streams.token().await;
    let mut chat = streams.chat(&token).await;
    let path = streams.revoking.gateway.folder.path().join("gateway.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    // Another issuer section: the feed is followed anew.
    let changed = config.replace("revocations: {", "revocations: { max_stale: 20s,");
    assert_ne!(changed, config);
    std::fs::write(&path, changed).unwrap();
    wait_for("the configuration is taken", Duration::from_secs(10), async || {
        streams.metrics().await.contains("symbolon_gateway_config_reloads_total{outcome=\"taken\"} 1\n")
    })
    .await;
    echoes(&mut chat).await;
    let call = Call::form("/oauth2/revoke", &[("token", token.as_str())]);
    assert_eq!(call.send(streams.revoking.broker.socket().as_path()).await.unwrap().status, 200);
    assert_eq!(rest(&mut chat).await, REVOKED);
}

/// The upstreams allow two requests at once.
#[tokio::test]
async fn an_open_websocket_takes_no_place_of_a_request_and_an_open_answer_does() {
    let streams = Streams::start().await;
    let token = streams.token().await;
    let mut chats = Vec::new();
    for _ in 0..4 {
        chats.push(streams.chat(&token).await);
    }
    let held = [streams.events(&token).await, streams.events(&token).await];
    let busy = Call::get("/events").bearer(&token).send(streams.revoking.gateway.address).await.unwrap();
    assert_eq!((busy.status, busy.text("code").as_str()), (503, "busy"));
    drop(held);
    let mut again = None;
    wait_for("the places are free", Duration::from_secs(5), async || {
        let address = streams.revoking.gateway.address;
        let mut socket = TcpStream::connect(address).await.unwrap();
        let asked =
            format!("GET /events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
        socket.write_all(asked.as_bytes()).await.unwrap();
        let mut begin = [0; 13];
        socket.read_exact(&mut begin).await.unwrap();
        again = Some(socket);
        &begin == b"HTTP/1.1 200 "
    })
    .await;
    for chat in &mut chats {
        echoes(chat).await;
    }
}

#[tokio::test]
async fn behind_several_verify_stages_a_stream_ends_with_its_token_too() {
    const ISSUER: &str = "https://issuer.test/a";
    let (api, issuer) = (Echo::start().await, TestIssuer::new(ISSUER));
    let config = format!(
        "issuers: [{{ name: a, issuer: \"{ISSUER}\", jwks_file: {{folder}}/a.json, audiences: [\"{NOTES}\"], binding: when_bound }}]\n\
         token_cache: {{ entries: 0 }}\n\
         routes: [{{ name: chat, match: {{ path: /chat }}, resource: \"{NOTES}\", upstream: {{ url: \"http://{}\" }}, \
         stages: [{{ verify: {{ issuers: [a] }} }}, {{ verify: {{ issuers: [a] }}, when: 'request.method == \"GET\"' }}, {{ verify: {{ issuers: [a] }}, when: 'request.method == \"POST\"' }}] }}]\n",
        api.address
    );
    let gateway = Gateway::start(&config, &[("a.json", &issuer.jwks().to_string())]).await;
    gateway.ready().await;
    let (mut claims, exp) = (issuer.claims(NOTES), now() + 2);
    claims["exp"] = json!(exp);
    let token = issuer.sign(&issuer.header(), &claims);
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    let asked = handshake("/chat", gateway.address, &format!("Authorization: Bearer {token}\r\n"));
    socket.write_all(asked.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    socket.read_to_end(&mut seen).await.unwrap();
    assert!(seen.ends_with(b"\x03\xf0token_expired"), "{}", String::from_utf8_lossy(&seen));
    let late = moment().as_secs_f64() - Duration::from_secs(exp).as_secs_f64();
    assert!((0.0..=1.0).contains(&late), "closed {late} s after the end of the token");
}
