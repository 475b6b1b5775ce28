//! Handshakes that are refused: the API never hears of them.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use symbolon_e2e::chain::{Chain, Link};
use symbolon_e2e::http::{Call, raw};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::machine::{moment, now};
use symbolon_e2e::programs::Gateway;
use symbolon_e2e::sockets::{Echo, frame, handshake, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(super) const ISSUER: &str = "https://issuer.test/a";
pub(super) const CHAT: &str = "https://chat.test";

/// A gateway before a WebSocket API, by HTTP/1.1 and beside HTTP/2.
pub(super) async fn gateway(api: &Echo, issuer: &TestIssuer) -> Gateway {
    let config = format!(
        "issuers: [{{ name: a, issuer: \"{ISSUER}\", jwks_file: {{folder}}/a.json, audiences: [\"{CHAT}\"], binding: when_bound }}]\n\
         routes:\n\
         \x20 - {{ name: chat, match: {{ path: /chat }}, resource: \"{CHAT}\", upstream: {{ url: \"http://{api}\" }}, \
         streams: {{ origins: [\"https://app.test\"] }}, stages: [{{ verify: {{ issuers: [a] }} }}] }}\n\
         \x20 - {{ name: calls, match: {{ path: /calls }}, resource: \"{CHAT}\", upstream: {{ url: \"http://{api}\", http2: true }}, stages: [{{ verify: {{ issuers: [a] }} }}] }}\n",
        api = api.address
    );
    let gateway = Gateway::start(&config, &[("a.json", &issuer.jwks().to_string())]).await;
    gateway.ready().await;
    gateway
}

#[tokio::test]
async fn a_refused_handshake_never_reaches_the_api() {
    let (api, issuer) = (Echo::start().await, TestIssuer::new(ISSUER));
    let gateway = gateway(&api, &issuer).await;
    let good = format!("Authorization: Bearer {}\r\n", issuer.token(CHAT));
    let mut claims = issuer.claims(CHAT);
    (claims["iat"], claims["exp"]) = (json!(now() - 400), json!(now() - 100));
    let expired = format!("Authorization: Bearer {}\r\n", issuer.sign(&issuer.header(), &claims));
    let foreign = format!("Authorization: Bearer {}\r\n", issuer.token("https://other.test"));
    let ask = |extra: &str| handshake("/chat", gateway.address, extra);
    let asked = ask(&good);
    let cases = [
        ("no token", ask(""), 401, "token_missing"),
        ("an expired token", ask(&expired), 401, "expired"),
        ("a token for another API", ask(&foreign), 401, "wrong_audience"),
        ("a page from elsewhere", ask(&format!("{good}Origin: https://evil.test\r\n")), 403, "origin_not_allowed"),
        ("two origins", ask(&format!("{good}Origin: https://app.test\r\nOrigin: https://app.test\r\n")), 403, "origin_not_allowed"),
        ("h2c", asked.replace("Upgrade: websocket", "Upgrade: h2c"), 400, "upgrade_not_allowed"),
        ("h2c with its settings", asked.replace("Connection: Upgrade\r\nUpgrade: websocket", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 400, "upgrade_not_allowed"),
        ("a list", asked.replace("Upgrade: websocket", "Upgrade: websocket, h2c"), 400, "upgrade_not_allowed"),
        ("odd casing", asked.replace("Upgrade: websocket", "Upgrade: WebSocket"), 400, "upgrade_not_allowed"),
        ("twice", asked.replace("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket"), 400, "upgrade_not_allowed"),
        ("another version", asked.replace("Version: 13", "Version: 8"), 400, "upgrade_not_allowed"),
        ("no key", asked.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "upgrade_not_allowed"),
        ("a body", asked.replace("Sec-WebSocket-Version", "Content-Length: 5\r\nSec-WebSocket-Version"), 400, "upgrade_not_allowed"),
        ("CONNECT", format!("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n{good}\r\n"), 400, "upgrade_not_allowed"),
        ("no such route", asked.replace("/chat", "/other"), 404, "route_not_found"),
    ];
    for (what, request, status, code) in &cases {
        // What is sent behind it in advance is no request either.
        let answer = raw(gateway.address, format!("{request}GET /chat HTTP/1.1\r\n").as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(code),
            "{what}: {answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
    }
    assert_eq!(api.handshakes(), 0);
    let metrics = Call::get("/metrics").send(gateway.admin).await.unwrap();
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for line in [
        "symbolon_ws_handshakes_total{route=\"chat\",outcome=\"rejected\",reason=\"token_missing\"} 1",
        "symbolon_ws_handshakes_total{route=\"chat\",outcome=\"rejected\",reason=\"expired\"} 1",
        "symbolon_ws_handshakes_total{route=\"chat\",outcome=\"rejected\",reason=\"origin_not_allowed\"} 2",
        "symbolon_ws_handshakes_total{route=\"\",outcome=\"rejected\",reason=\"upgrade_not_allowed\"} 8",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_good_handshake_passes_from_programs_and_known_pages_also_beside_http2() {
    let (api, issuer) = (Echo::start().await, TestIssuer::new(ISSUER));
    let gateway = gateway(&api, &issuer).await;
    let own = format!("Origin: http://{}\r\n", gateway.address);
    for (path, origin) in
        [("/chat", ""), ("/chat", "Origin: https://app.test\r\n"), ("/chat", own.as_str()), ("/calls", "")]
    {
        let extra = format!("Authorization: Bearer {}\r\n{origin}", issuer.token(CHAT));
        let mut socket = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        socket.write_all(handshake(path, gateway.address, &extra).as_bytes()).await.unwrap();
        socket.write_all(&frame("hello")).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(&frame("hello")) {
            assert!(socket.read_buf(&mut seen).await.unwrap() > 0, "{}", String::from_utf8_lossy(&seen));
        }
        assert!(seen.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&seen));
    }
    assert_eq!(api.handshakes(), 4);
}

#[tokio::test]
async fn a_route_may_let_streams_outlast_their_token_and_nothing_else() {
    let (api, issuer) = (Echo::start().await, TestIssuer::new(ISSUER));
    let config = format!(
        "issuers: [{{ name: a, issuer: \"{ISSUER}\", jwks_file: {{folder}}/a.json, audiences: [\"{CHAT}\"], binding: when_bound }}]\n\
         routes: [{{ name: chat, match: {{ path: /chat }}, resource: \"{CHAT}\", upstream: {{ url: \"http://{}\" }}, \
         streams: {{ grace: 1500ms }}, stages: [{{ verify: {{ issuers: [a] }} }}] }}]\n",
        api.address
    );
    let gateway = Gateway::start(&config, &[("a.json", &issuer.jwks().to_string())]).await;
    gateway.ready().await;
    let mut claims = issuer.claims(CHAT);
    let exp = now() + 2;
    claims["exp"] = json!(exp);
    let token = issuer.sign(&issuer.header(), &claims);
    let extra = format!("Authorization: Bearer {token}\r\n");
    let mut socket = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    socket.write_all(handshake("/chat", gateway.address, &extra).as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    socket.read_to_end(&mut seen).await.unwrap();
    let late = moment().as_secs_f64() - Duration::from_secs(exp).as_secs_f64();
    assert!((1.49..=2.5).contains(&late), "closed {late} s after the end of the token");
    assert!(seen.ends_with(b"\x03\xf0token_expired"), "{}", String::from_utf8_lossy(&seen));
    let again = raw(gateway.address, handshake("/chat", gateway.address, &extra).as_bytes()).await;
    assert!(again.starts_with("HTTP/1.1 401 ") && again.contains("expired"), "{again}");
}

#[tokio::test]
async fn the_sidecar_forwards_only_whole_handshakes_and_the_programs_say_goodbye() {
    let api = Echo::start().await;
    let link = Link { name: "web", path: "/web/**", address: api.address, http2: true };
    let mut chain = Chain::start(&[link], "1m").await;
    let door = chain.door("web");
    for value in ["h2c", "websocket, h2c", "WebSocket", "TLS/1.2"] {
        let request =
            handshake("/web/a", door, "").replace("Upgrade: websocket", &format!("Upgrade: {value}"));
        let answer = raw(door, format!("{request}early").as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("upgrade_not_allowed"),
            "{value}: {answer}"
        );
    }
    let answer = raw(door, handshake("/web/a", door, "Origin: https://evil.test\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("origin_not_allowed"), "{answer}");
    assert_eq!(api.handshakes(), 0);

    let mut socket = open("/web/a", door).await.unwrap();
    socket.write_all(&frame("hello")).await.unwrap();
    let mut echoed = vec![0; frame("hello").len()];
    socket.read_exact(&mut echoed).await.unwrap();
    assert_eq!(echoed, frame("hello"));
    chain.gateway.process.signal(Signal::TERM);
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
    assert_eq!(
        rest,
        [&[0x88, 10, 0x03, 0xe9][..], b"shutdown"].concat(),
        "the gateway's close frame arrives"
    );
    assert_eq!(chain.gateway.process.ended(Duration::from_secs(10)).await, Some(0));
}
