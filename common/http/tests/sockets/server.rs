//! The accept loop and its limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use symbolon_daemon::Registry;
use symbolon_http::Body;
use symbolon_http::server::{ConnectionInfo, Limits, Peer, ServerMetrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::raw::{Raw, exchange, status};
use crate::support::{PATIENCE, lifecycle, serve, serve_counted, soon, text};

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn one_port_serves_http1_and_http2_by_prior_knowledge() {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |request: Request<Body>| {
        text(if request.version() == Version::HTTP_2 { "two" } else { "one" })
    });
    let one = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(one.ends_with("one"), "{one}");

    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    lifecycle.spawn_background("client", async move {
        let _ = connection.await;
    });
    let request = Request::get("http://a/").body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = soon("an answer", sender.send_request(request)).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "two");
}

#[tokio::test]
async fn every_request_knows_its_peer() {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |request: Request<Body>| async move {
        let info = request.extensions().get::<ConnectionInfo>().unwrap();
        let Peer::Tcp(peer) = info.peer() else { panic!("not TCP") };
        Response::new(Body::from(peer.to_string()))
    });
    let mut raw = Raw::connect(address).await;
    let us = raw.stream.local_addr().unwrap();
    raw.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(raw.rest().await.ends_with(&us.to_string()));
}

#[tokio::test]
async fn a_silent_or_slow_head_is_closed() {
    let lifecycle = lifecycle();
    let limits = Limits { head_timeout: SOON, ..Limits::default() };
    let address = serve(limits, &lifecycle, |_| text("never"));
    for beginning in [&b""[..], b"P", b"PRI * HT", b"GET / HTTP/1.1\r\nhost: a\r\nx-slow:"] {
        assert_eq!(status(&exchange(address, beginning).await), 0);
    }
    // Also after a first request, and although bytes keep coming.
    let mut raw = Raw::connect(address).await;
    raw.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    raw.until("never").await;
    raw.send(b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: 1\r\n").await;
    assert_eq!(raw.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let lifecycle = lifecycle();
    let limits = Limits { idle_timeout: SOON, head_timeout: PATIENCE, ..Limits::default() };
    let address = serve(limits, &lifecycle, |_| async {
        // Longer than idle.
        tokio::time::sleep(SOON * 4).await;
        text("worked").await
    });
    let mut raw = Raw::connect(address).await;
    raw.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(raw.rest().await.ends_with("worked"));
}

/// Which timer the kernel runs for our end of a connection: `02` is the one of keepalive (proc(5), `net/tcp`).
fn timer(local: SocketAddr, peer: SocketAddr) -> Option<String> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let ends = [local, peer].map(|address| format!(":{:04X}", address.port()));
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ours = fields.get(1)?.ends_with(&ends[0]) && fields.get(2)?.ends_with(&ends[1]);
        ours.then(|| fields[5][..2].to_owned())
    })
}

#[tokio::test]
async fn the_kernel_asks_whether_a_silent_peer_is_still_there() {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |_| text("served"));
    let mut raw = Raw::connect(address).await;
    raw.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    raw.until("served").await;
    let us = raw.stream.local_addr().unwrap();
    soon("the timer of keepalive", async {
        while timer(address, us).as_deref() != Some("02") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(timer(us, address).as_deref(), Some("00"), "our own end has none");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed() {
    let lifecycle = lifecycle();
    let limits = Limits { write_timeout: SOON, ..Limits::default() };
    let dropped = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&dropped);
    let address = serve(limits, &lifecycle, move |_| {
        let size = 64 << 20;
        seen.fetch_add(1, Ordering::SeqCst);
        async move { Response::new(Body::from(vec![b'x'; size])) }
    });
    let mut raw = Raw::connect(address).await;
    raw.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    // Wait for the server to give up while we read nothing; only then look at what had arrived.
    let mut registry = Registry::new();
    lifecycle.register(&mut registry);
    soon("the server to give up", async {
        while !registry.encode().unwrap().contains("symbolon_tasks{task=\"http_connection\"} 0") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let mut arrived = 0;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = raw.stream.read(&mut buffer).await {
        arrived += count;
    }
    assert!(arrived < 64 << 20, "{arrived}");
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let lifecycle = lifecycle();
    let limits = Limits { max_head_bytes: 8192, max_headers: 10, ..Limits::default() };
    let address = serve(limits, &lifecycle, |_| text("never"));
    let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(16384));
    assert_eq!(status(&exchange(address, large.as_bytes()).await), 431);
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(20));
    assert_eq!(status(&exchange(address, many.as_bytes()).await), 431);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_stalls_is_told_apart() {
    let lifecycle = lifecycle();
    let limits = Limits { max_body_bytes: Some(10), body_idle_timeout: SOON, ..Limits::default() };
    let address = serve(limits, &lifecycle, |request: Request<Body>| async move {
        let read = request.into_body().read(1000, PATIENCE).await;
        Response::new(Body::from(format!("{read:?}")))
    });
    let announced = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\nconnection: close\r\n\r\n";
    assert!(exchange(address, announced).await.contains("TooLarge { limit: 10 }"));
    let chunked =
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n";
    let mut raw = Raw::connect(address).await;
    raw.send(chunked).await;
    raw.until("TooLarge { limit: 10 }").await;
    let mut raw = Raw::connect(address).await;
    raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n123").await;
    raw.until("Stalled").await;
}

#[tokio::test]
async fn connections_above_the_limit_wait_for_their_turn() {
    let lifecycle = lifecycle();
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let address = serve(limits, &lifecycle, |_| text("served"));
    let mut first = Raw::connect(address).await;
    first.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    first.until("served").await;
    let mut second = Raw::connect(address).await;
    second.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let mut byte = [0];
    let early = tokio::time::timeout(SOON, second.stream.read(&mut byte)).await;
    assert!(early.is_err(), "served above the limit");
    drop(first);
    assert!(second.rest().await.ends_with("served"));
}

#[tokio::test]
async fn requests_above_the_limit_are_told_to_come_back() {
    let lifecycle = lifecycle();
    let limits = Limits { max_requests: Some(2), ..Limits::default() };
    let (metrics, mut registry) = (ServerMetrics::default(), Registry::new());
    metrics.register(&mut registry);
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let address = serve_counted(limits, metrics, &lifecycle, move |request: Request<Body>| {
        let gate = Arc::clone(&gate);
        async move {
            if request.uri().path() == "/slow" {
                drop(gate.acquire().await);
            }
            text("served").await
        }
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    lifecycle.spawn_background("client", async move {
        let _ = connection.await;
    });
    let ask = |path: &str| {
        let request = Request::get(format!("http://a{path}")).body(Empty::<bytes::Bytes>::new()).unwrap();
        sender.clone().send_request(request)
    };
    let (first, second) = (ask("/slow"), ask("/slow"));
    let mut slow = std::pin::pin!(async { tokio::join!(first, second) });
    // Both are under way once a third is refused, on the same connection and on another.
    soon("a refusal", async {
        loop {
            tokio::select! {
                _ = &mut slow => panic!("answered while the gate was shut"),
                answer = ask("/") => if answer.unwrap().status() == 503 { return },
            }
        }
    })
    .await;
    let other = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status(&other), 503, "{other}");
    for part in ["retry-after: 1\r\n", "\"code\":\"busy\"", "\"error\":\"temporarily_unavailable\""] {
        assert!(other.contains(part), "{part} is not in {other}");
    }
    opened.add_permits(2);
    let (first, second) = soon("the answers", slow).await;
    assert_eq!((first.unwrap().status().as_u16(), second.unwrap().status().as_u16()), (200, 200));
    let after = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(status(&after) == 200 && after.ends_with("served"), "{after}");
    let metrics = registry.encode().unwrap();
    assert!(metrics.contains("symbolon_http_requests_refused_total{listener=\"test\"}"), "{metrics}");
    assert!(!metrics.contains("symbolon_http_requests_refused_total{listener=\"test\"} 0"), "{metrics}");
}

#[tokio::test]
async fn a_panicking_handler_costs_one_connection_only() {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |request: Request<Body>| async move {
        assert!(request.uri().path() != "/panic", "on purpose");
        text("fine").await
    });
    assert_eq!(exchange(address, b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await, "");
    let fine = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status(&fine), StatusCode::OK.as_u16());
    let mut registry = Registry::new();
    lifecycle.register(&mut registry);
    let metrics = registry.encode().unwrap();
    assert!(metrics.contains("symbolon_task_panics_total{task=\"http_connection\"} 1"), "{metrics}");
}

/// The HTTP/2 preface, settings with an initial window of zero, and the head of one GET.
fn request_without_a_window() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE (4) = 0.
    bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    // HEADERS, END_STREAM and END_HEADERS, stream 1: GET, http, /, authority `a`.
    bytes.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a']);
    bytes
}

#[tokio::test]
async fn an_http2_peer_that_never_opens_its_window_is_closed_although_it_answers_pings() {
    let lifecycle = lifecycle();
    let limits = Limits { write_timeout: SOON * 4, ..Limits::default() };
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let address = serve(limits, &lifecycle, move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        text("never")
    });
    let began = tokio::time::Instant::now();
    let mut raw = Raw::connect(address).await;
    raw.send(&request_without_a_window()).await;
    let (mut reading, mut writing) = raw.stream.into_split();
    let pings = async {
        while writing.write_all(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await.is_ok() {
            tokio::time::sleep(SOON / 5).await;
        }
        std::future::pending::<()>().await;
    };
    let closed = async {
        let mut buffer = vec![0; 4096];
        while let Ok(1..) = reading.read(&mut buffer).await {}
    };
    soon("the server to give up", async {
        tokio::select! {
            () = pings => {}
            () = closed => {}
        }
    })
    .await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(began.elapsed() >= SOON * 4, "closed for another reason");
}

#[tokio::test]
async fn a_large_http2_answer_arrives_whole_and_a_slow_one_is_not_cut() {
    let lifecycle = lifecycle();
    let limits = Limits { write_timeout: SOON * 4, ..Limits::default() };
    let address = serve(limits, &lifecycle, |_| async {
        // Waiting for the handler is not waiting for the peer.
        tokio::time::sleep(SOON * 6).await;
        Response::new(Body::from(vec![b'x'; 3 << 20]))
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    lifecycle.spawn_background("client", async move {
        let _ = connection.await;
    });
    let request = Request::get("http://a/").body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = soon("an answer", sender.send_request(request)).await.unwrap();
    assert_eq!(answer.headers()["content-length"], (3 << 20).to_string());
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 3 << 20);
}

#[tokio::test]
async fn an_http2_answer_that_nobody_takes_is_reset_and_its_connection_lives_on() {
    let lifecycle = lifecycle();
    let limits = Limits { write_timeout: SOON * 4, ..Limits::default() };
    let address = serve(limits, &lifecycle, |request| async move {
        let long = request.uri().path() == "/long";
        Response::new(if long { Body::from(vec![b'x'; 8 << 20]) } else { Body::from("short") })
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(4 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    lifecycle.spawn_background("client", async move {
        let _ = connection.await;
    });
    let get =
        |path: &str| Request::get(format!("http://a{path}")).body(Empty::<bytes::Bytes>::new()).unwrap();
    let stalled = soon("an answer", sender.send_request(get("/long"))).await.unwrap().into_body();
    let began = tokio::time::Instant::now();
    while began.elapsed() < SOON * 8 {
        let answer = soon("another answer", sender.send_request(get("/short"))).await.unwrap();
        assert_eq!(soon("its body", answer.into_body().collect()).await.unwrap().to_bytes(), "short");
        tokio::time::sleep(SOON / 5).await;
    }
    let error = soon("the end", stalled.collect()).await.unwrap_err();
    assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
    let answer = soon("one more answer", sender.send_request(get("/short"))).await.unwrap();
    assert_eq!(answer.status(), 200);
}
