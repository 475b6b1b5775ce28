//! The forwarder, between a raw client and a raw upstream.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use symbolon_http::forward::ForwardOptions;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::raw::{Raw, exchange, status};
use crate::support::{lifecycle, soon};
use crate::upstream::{OK, Pass, all, proxy, requests, upstream};

fn options() -> ForwardOptions {
    ForwardOptions::default()
}

#[tokio::test]
async fn a_request_arrives_with_our_fields_and_the_upstreams_host() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    let request = b"POST /a%20b?c=d HTTP/1.1\r\nhost: front.example\r\nauthorization: Bearer theirs\r\n\
        content-length: 5\r\nconnection: close\r\n\r\nhello";
    let answer = exchange(front, request).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("x-edited: yes"), "{answer}");
    let sent = all(&arrived);
    assert!(sent.starts_with("POST /a%20b?c=d HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains(&format!("host: {address}\r\n")), "{sent}");
    assert!(sent.contains("authorization: DPoP ours\r\n") && !sent.contains("theirs"), "{sent}");
    assert!(sent.contains("content-length: 5\r\n") && sent.ends_with("\r\n\r\nhello"), "{sent}");
}

#[tokio::test]
async fn the_path_of_the_proof_is_sent_not_the_received_one() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let pass = Pass { path: Some("/judged?q".parse().unwrap()), ..Pass::to(address) };
    let front = proxy(&lifecycle, &options(), pass);
    exchange(front, b"GET /received HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(all(&arrived).starts_with("GET /judged?q HTTP/1.1\r\n"));
}

#[tokio::test]
async fn what_connection_names_goes_before_ours_is_set() {
    let lifecycle = lifecycle();
    for connection in
        ["close, X-Workload-Id", "close, x-workload-id, authorization", "close, Keep-Alive, host"]
    {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\nx-workload-id: spiffe://theirs\r\n\
             keep-alive: 1\r\nproxy-authorization: Basic x\r\nte: gzip\r\n\r\n"
        );
        let (address, arrived) = upstream(&lifecycle, OK).await;
        let front = proxy(&lifecycle, &options(), Pass::to(address));
        let answer = exchange(front, request.as_bytes()).await;
        assert_eq!(status(&answer), 200, "{answer}");
        let sent = all(&arrived);
        assert_eq!(sent.matches("x-workload-id: spiffe://ours\r\n").count(), 1, "{sent}");
        assert!(sent.contains("authorization: DPoP ours\r\n"), "{sent}");
        assert!(sent.contains(&format!("host: {address}\r\n")), "{sent}");
        for gone in ["theirs", "connection:", "keep-alive:", "proxy-", "te:"] {
            assert!(!sent.contains(gone), "{gone}: {sent}");
        }
    }
}

#[tokio::test]
async fn upgrades_and_connect_are_refused_and_nothing_is_sent() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\nearly",
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: \r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: close\r\n\r\n",
    ] {
        let answer = exchange(front, request.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{answer}");
        assert!(answer.contains("upgrade_not_allowed"), "{answer}");
    }
    let answer =
        exchange(front, b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\nconnection: close\r\n\r\nearly").await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert_eq!(requests(&arrived), 0);
}

#[tokio::test]
async fn methods_that_would_show_our_credential_to_the_client_are_refused_and_nothing_is_sent() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    for method in ["TRACE", "trace", "Trace", "TRACK", "connect"] {
        let request = format!("{method} /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = exchange(front, request.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{method}: {answer}");
        assert!(answer.contains("malformed_request"), "{method}: {answer}");
    }
    assert_eq!(requests(&arrived), 0);
}

#[tokio::test]
async fn request_trailers_do_not_arrive_and_response_trailers_do() {
    let lifecycle = lifecycle();
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status, authorization\r\n\r\n\
        2\r\nok\r\n0\r\ngrpc-status: 0\r\nauthorization: echo\r\n\r\n";
    let (address, arrived) = upstream(&lifecycle, answer).await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    let request = b"POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\ntrailer: authorization, x-a\r\n\
        transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nauthorization: Bearer theirs\r\nhost: b\r\nx-a: 1\r\n\r\n";
    let answer = exchange(front, request).await;
    assert!(answer.contains("grpc-status: 0"), "{answer}");
    assert!(!answer.contains("authorization: echo"), "{answer}");
    let sent = all(&arrived);
    assert!(sent.ends_with("5\r\nhello\r\n0\r\n\r\n"), "{sent}");
    assert!(sent.contains("te: trailers\r\n") && sent.contains("connection: te\r\n"), "{sent}");
    assert!(!sent.contains("theirs") && !sent.contains("x-a") && !sent.contains("trailer:"), "{sent}");
}

#[tokio::test]
async fn an_answer_loses_what_belongs_to_its_connection_and_any_echoed_credential() {
    let lifecycle = lifecycle();
    let answer = "HTTP/1.1 302 Found\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=1\r\nupgrade: h2c\r\n\
        proxy-authenticate: Basic\r\nauthorization: DPoP ours\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n";
    let (address, _) = upstream(&lifecycle, answer).await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    let answer = exchange(front, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 302, "{answer}");
    assert!(answer.contains("location: /next"), "{answer}");
    for gone in ["x-hop", "keep-alive", "upgrade", "proxy-", "authorization"] {
        assert!(!answer.contains(gone), "{gone}: {answer}");
    }
}

#[tokio::test]
async fn a_head_answer_keeps_its_length_and_has_no_body() {
    let lifecycle = lifecycle();
    let (address, _) = upstream(&lifecycle, "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n").await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    let answer = exchange(front, b"HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("content-length: 1234\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_from_us() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    let mut raw = Raw::connect(front).await;
    raw.send(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\n")
        .await;
    raw.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    raw.send(b"hello").await;
    assert_eq!(status(&raw.rest().await), 200);
    assert!(!all(&arrived).contains("expect"));
}

#[tokio::test]
async fn bodies_stream_both_ways_without_waiting_for_their_end() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = proxy(&lifecycle, &options(), Pass::to(listener.local_addr().unwrap()));
    let mut client = Raw::connect(front).await;
    client
        .send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n4\r\nping\r\n")
        .await;
    let mut server = Raw { stream: soon("the forwarder", listener.accept()).await.unwrap().0 };
    server.until("ping").await;
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npong\r\n").await;
    client.until("pong").await;
    client.send(b"5\r\nagain\r\n0\r\n\r\n").await;
    server.until("again").await;
    server.send(b"3\r\nend\r\n0\r\n\r\n").await;
    assert!(client.rest().await.contains("end"));
}

#[tokio::test]
async fn an_upstream_that_hangs_takes_no_more_than_its_places_and_gives_them_back() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ForwardOptions { max_requests: 1, ..options() };
    let front = proxy(&lifecycle, &options, Pass::to(listener.local_addr().unwrap()));
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut first = Raw::connect(front).await;
    first.send(request).await;
    let mut server = Raw { stream: soon("the forwarder", listener.accept()).await.unwrap().0 };
    server.until("\r\n\r\n").await;
    let refused = exchange(front, request).await;
    assert!(status(&refused) == 503 && refused.contains("busy"), "{refused}");
    // An answer holds the place until it has ended.
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
    first.until("ok").await;
    assert_eq!(status(&exchange(front, request).await), 503);
    server.send(b"0\r\n\r\n").await;
    first.rest().await;
    let mut again = Raw::connect(front).await;
    again.send(request).await;
    server.until("\r\n\r\n").await;
    server.send(OK.as_bytes()).await;
    assert_eq!(status(&again.rest().await), 200);
}

#[tokio::test]
async fn an_upstream_that_does_not_read_holds_the_client_back() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = proxy(&lifecycle, &options(), Pass::to(listener.local_addr().unwrap()));
    let mut client = Raw::connect(front).await;
    let total = 512 << 20;
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {total}\r\n\r\n").as_bytes()).await;
    let _unread = soon("the forwarder", listener.accept()).await.unwrap();
    let chunk = vec![b'x'; 1 << 20];
    let mut taken = 0;
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(300), client.stream.write(&chunk)).await
    {
        taken += written.unwrap();
        assert!(taken < 128 << 20, "somebody buffers");
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_upstream_closed_is_replaced() {
    let lifecycle = lifecycle();
    // No length: the upstream closes after each answer.
    let (address, arrived) = upstream(&lifecycle, "HTTP/1.0 200 OK\r\n\r\nok").await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    for _ in 0..20 {
        let answer = exchange(front, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    assert_eq!(requests(&arrived), 20);
}

#[tokio::test]
async fn connections_to_the_upstream_are_reused() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    let mut raw = Raw::connect(front).await;
    for _ in 0..10 {
        raw.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        raw.until("\r\n\r\nok").await;
    }
    assert_eq!(requests(&arrived), 10);
    assert_eq!(arrived.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_http2_request_goes_on_as_http1_and_its_two_hosts_must_agree() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let front = proxy(&lifecycle, &options(), Pass::to(address));
    let stream = TcpStream::connect(front).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    lifecycle.spawn_background("client", async move {
        let _ = connection.await;
    });
    let post = Request::post("http://front.example/a?b").header("host", "front.example");
    let answer =
        soon("an answer", sender.send_request(post.body(Full::from("hello")).unwrap())).await.unwrap();
    assert_eq!(answer.status(), 200);
    let sent = all(&arrived);
    assert!(sent.starts_with("POST /a?b HTTP/1.1\r\n") && sent.ends_with("hello"), "{sent}");
    assert!(sent.contains(&format!("host: {address}\r\n")) && !sent.contains("front.example"), "{sent}");
    let other = Request::get("http://front.example/").header("host", "other.example");
    let answer =
        soon("an answer", sender.send_request(other.body(Full::<Bytes>::default()).unwrap())).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(requests(&arrived), 1);
}

#[tokio::test]
async fn a_get_with_a_body_of_unknown_length_keeps_it() {
    let lifecycle = lifecycle();
    for method in ["GET", "HEAD"] {
        let (address, arrived) = upstream(&lifecycle, OK).await;
        let front = proxy(&lifecycle, &options(), Pass::to(address));
        let request = format!(
            "{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        );
        let answer = exchange(front, request.as_bytes()).await;
        assert_eq!(status(&answer), 200, "{answer}");
        let sent = all(&arrived);
        assert_eq!(sent.matches("transfer-encoding: chunked\r\n").count(), 1, "{sent}");
        assert!(sent.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{sent}");
    }
}
