//! WebSockets through the forwarder, between a raw client and a raw upstream.

use std::time::Duration;

use symbolon_daemon::Lifecycle;
use symbolon_http::forward::ForwardOptions;
use symbolon_http::streams::Streams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::raw::{Raw, exchange, status};
use crate::support::{lifecycle, soon};
use crate::upstream::{Pass, all, proxy, requests, upstream};

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: chat\r\n\r\n";

/// A text frame from a server.
const HELLO: &[u8] = b"\x81\x05hello";

/// The two ends of an open tunnel, and what of its answer was read.
struct Ends {
    client: Raw,
    server: Raw,
    head: String,
}

/// Shakes hands through a forwarder with this pass.
async fn open(lifecycle: &Lifecycle, change: impl FnOnce(&mut Pass)) -> Ends {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut pass = Pass::to(listener.local_addr().unwrap());
    change(&mut pass);
    let mut client = Raw::connect(proxy(lifecycle, &ForwardOptions::default(), pass)).await;
    client.send(HANDSHAKE.as_bytes()).await;
    let mut server = Raw { stream: soon("the forwarder", listener.accept()).await.unwrap().0 };
    server.until("\r\n\r\n").await;
    server.send(AGREED.as_bytes()).await;
    let head = client.until("\r\n\r\n").await;
    Ends { client, server, head }
}

/// All that comes until the end of a connection, in bytes.
async fn rest(raw: &mut Raw) -> Vec<u8> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = soon("the end", raw.stream.read(&mut buffer)).await {
        read.extend_from_slice(&buffer[..count]);
    }
    read
}

fn close(code: u16, reason: &str) -> Vec<u8> {
    let length = u8::try_from(reason.len() + 2).unwrap();
    [&[0x88, length][..], &code.to_be_bytes(), reason.as_bytes()].concat()
}

#[tokio::test]
async fn nothing_passes_before_101_and_everything_after_it() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = proxy(&lifecycle, &ForwardOptions::default(), Pass::to(listener.local_addr().unwrap()));
    let mut client = Raw::connect(front).await;
    client.send(format!("{HANDSHAKE}early").as_bytes()).await;
    let mut server = Raw { stream: soon("the forwarder", listener.accept()).await.unwrap().0 };
    let sent = server.until("\r\n\r\n").await;
    assert!(sent.starts_with("GET /chat HTTP/1.1\r\n") && sent.ends_with("\r\n\r\n"), "{sent}");
    for field in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-version: 13\r\n",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "authorization: DPoP ours\r\n",
    ] {
        assert_eq!(sent.matches(field).count(), 1, "{field}: {sent}");
    }
    let nothing = tokio::time::timeout(Duration::from_millis(200), server.stream.read(&mut [0; 16])).await;
    assert!(nothing.is_err(), "a byte passed before 101: {nothing:?}");
    server.send(AGREED.as_bytes()).await;
    assert_eq!(server.until("early").await, "early");
    let head = client.until("\r\n\r\n").await;
    assert_eq!(status(&head), 101, "{head}");
    for field in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-protocol: chat\r\n",
        "x-edited: yes",
    ] {
        assert!(head.contains(field), "{field}: {head}");
    }
    server.send(HELLO).await;
    assert!(client.until("hello").await.ends_with("hello"));
    client.send(b"after").await;
    server.until("after").await;
}

#[tokio::test]
async fn frames_sent_together_with_101_arrive() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = proxy(&lifecycle, &ForwardOptions::default(), Pass::to(listener.local_addr().unwrap()));
    let mut client = Raw::connect(front).await;
    client.send(HANDSHAKE.as_bytes()).await;
    let mut server = Raw { stream: soon("the forwarder", listener.accept()).await.unwrap().0 };
    server.until("\r\n\r\n").await;
    server.send(&[AGREED.as_bytes(), HELLO].concat()).await;
    client.until("hello").await;
}

#[tokio::test]
async fn an_upstream_that_does_not_agree_has_its_answer_passed_on_and_the_connection_ends() {
    let lifecycle = lifecycle();
    for answer in [
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 13\r\ncontent-length: 2\r\n\r\nno",
    ] {
        let (address, arrived) = upstream(&lifecycle, answer).await;
        let front = proxy(&lifecycle, &ForwardOptions::default(), Pass::to(address));
        let smuggled = format!("{HANDSHAKE}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
        let got = exchange(front, smuggled.as_bytes()).await;
        assert_eq!(status(&got), status(answer), "{got}");
        assert_eq!(got.matches("HTTP/1.1 ").count(), 1, "{got}");
        assert!(got.contains("connection: close\r\n"), "{got}");
        assert_eq!(requests(&arrived), 1, "{}", all(&arrived));
    }
}

#[tokio::test]
async fn another_protocol_than_asked_for_is_no_answer() {
    let lifecycle = lifecycle();
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\nx-length\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nx-length: 0\r\n\r\n",
    ] {
        let (address, _) = upstream(&lifecycle, answer).await;
        let front = proxy(&lifecycle, &ForwardOptions::default(), Pass::to(address));
        let got = exchange(front, HANDSHAKE.as_bytes()).await;
        assert_eq!(status(&got), 502, "{got}");
    }
}

#[tokio::test]
async fn other_upgrades_never_reach_the_upstream() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, AGREED).await;
    let front = proxy(&lifecycle, &ForwardOptions::default(), Pass::to(address));
    for (from, to) in [
        ("upgrade: websocket", "upgrade: h2c"),
        ("upgrade: websocket", "upgrade: websocket, h2c"),
        ("upgrade: websocket", "upgrade: WebSocket"),
        ("upgrade: websocket", "upgrade: websocket\r\nupgrade: websocket"),
        ("keep-alive, Upgrade", "keep-alive"),
        ("version: 13", "version: 8"),
        ("GET /chat", "POST /chat"),
        ("GET /chat HTTP/1.1", "GET /chat HTTP/1.0"),
        ("host: a", "host: a\r\ncontent-length: 5"),
    ] {
        assert!(HANDSHAKE.contains(from));
        let got = exchange(front, format!("{}early", HANDSHAKE.replace(from, to)).as_bytes()).await;
        assert_eq!(status(&got), 400, "{to}: {got}");
        assert!(got.contains("upgrade_not_allowed") && !got.contains("101"), "{to}: {got}");
    }
    assert_eq!(all(&arrived), "");
}

#[tokio::test]
async fn at_its_deadline_a_socket_is_closed_with_1008_between_two_frames() {
    let lifecycle = lifecycle();
    let streams = Streams::new(&lifecycle);
    let held = Some((streams.clone(), Some(Duration::from_millis(700))));
    let mut ends = open(&lifecycle, |pass| pass.held = held).await;
    let begun = tokio::time::Instant::now();
    ends.server.send(HELLO).await;
    ends.client.until("hello").await;
    assert_eq!(streams.len(), 1);
    assert_eq!(rest(&mut ends.client).await, close(1008, "token_expired"));
    assert!(begun.elapsed() < Duration::from_millis(1_700), "{:?}", begun.elapsed());
    assert_eq!(rest(&mut ends.server).await, b"", "the upstream's side ends too");
    drop(ends);
    soon("the place to be free", async {
        while !streams.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn in_the_middle_of_a_frame_the_connection_is_cut() {
    let lifecycle = lifecycle();
    let held = Some((Streams::new(&lifecycle), Some(Duration::from_millis(500))));
    let mut ends = open(&lifecycle, |pass| pass.held = held).await;
    ends.server.send(b"\x81\x7e\x01\x00half of a frame").await;
    assert_eq!(rest(&mut ends.client).await, b"\x81\x7e\x01\x00half of a frame");
    assert_eq!(rest(&mut ends.server).await, b"");
}

#[tokio::test]
async fn a_holder_that_loses_its_right_loses_its_sockets_at_once() {
    let lifecycle = lifecycle();
    let streams = Streams::new(&lifecycle);
    let held = Some((streams.clone(), None));
    let mut ends = open(&lifecycle, |pass| pass.held = held).await;
    ends.server.send(HELLO).await;
    ends.client.until("hello").await;
    assert_eq!(streams.end_where(|holder| holder.downcast_ref::<&str>() == Some(&"other")), 0);
    assert_eq!(streams.end_where(|holder| holder.downcast_ref::<&str>() == Some(&"holder")), 1);
    // Neither direction passes a byte from now on.
    let _ = ends.server.stream.write_all(HELLO).await;
    assert_eq!(rest(&mut ends.client).await, close(1008, "revoked"));
}

#[tokio::test]
async fn silence_and_the_end_of_the_program_close_with_1001() {
    let lifecycle = lifecycle();
    let mut ends = open(&lifecycle, |pass| pass.tunnel_idle = Duration::from_millis(300)).await;
    assert_eq!(rest(&mut ends.client).await, close(1001, "idle"));
    let mut ends = open(&lifecycle, |_| {}).await;
    lifecycle.shutdown();
    assert_eq!(rest(&mut ends.client).await, close(1001, "shutdown"));
    assert_eq!(rest(&mut ends.server).await, b"");
    assert_eq!(soon("the drain", lifecycle.run()).await, symbolon_daemon::Ended::Drained);
}

#[tokio::test]
async fn the_end_of_either_side_reaches_the_other() {
    let lifecycle = lifecycle();
    let Ends { mut client, mut server, head } = open(&lifecycle, |_| {}).await;
    assert_eq!(status(&head), 101);
    server.send(b"\x88\x02\x03\xe8").await;
    drop(server);
    assert_eq!(rest(&mut client).await, b"\x88\x02\x03\xe8", "the last words arrive");
    let Ends { mut client, mut server, .. } = open(&lifecycle, |_| {}).await;
    client.send(b"bye").await;
    drop(client);
    assert_eq!(rest(&mut server).await, b"bye");
}

#[tokio::test]
async fn a_side_that_does_not_read_holds_the_other_back() {
    let lifecycle = lifecycle();
    for upstream_floods in [true, false] {
        let Ends { client, server, .. } = open(&lifecycle, |_| {}).await;
        let (mut source, _silent) = if upstream_floods { (server, client) } else { (client, server) };
        let chunk = vec![b'x'; 1 << 20];
        let mut taken = 0;
        while let Ok(written) =
            tokio::time::timeout(Duration::from_millis(300), source.stream.write(&chunk)).await
        {
            taken += written.unwrap();
            assert!(taken < 64 << 20, "somebody buffers");
        }
    }
}
