//! Requests that two servers could take for two different ones: refused, or exactly one clear request goes on.

use crate::harness::World;
use crate::tokens::assert_rejected;

#[tokio::test]
async fn targets_that_are_no_path_are_refused() {
    let world = World::start().await;
    for (raw, code) in [
        (
            "GET http://orders.example.com/public HTTP/1.1\r\nHost: orders.example.com\r\n",
            "malformed_request",
        ),
        ("GET http://other/public HTTP/1.1\r\nHost: orders.example.com\r\n", "malformed_request"),
        ("OPTIONS * HTTP/1.1\r\nHost: orders.example.com\r\n", "malformed_request"),
        (
            "GET /public HTTP/1.1\r\nHost: orders.example.com\r\nHost: orders.example.com\r\n",
            "malformed_request",
        ),
        ("GET /public HTTP/1.1\r\nHost: orders.example.com\r\nHost: other\r\n", "malformed_request"),
        ("GET /public HTTP/1.1\r\nHost: \r\n", "malformed_request"),
        ("GET /public HTTP/1.1\r\nHost: a/public\r\n", "malformed_request"),
        ("GET /public HTTP/1.1\r\nHost: user@orders.example.com\r\n", "malformed_request"),
        ("GET /public HTTP/1.1\r\nHost: orders.example.com.\r\n", "malformed_request"),
        ("GET /public HTTP/1.1\r\nHost: orders.example.com:x\r\n", "malformed_request"),
        ("GET /public HTTP/1.1\r\n", "malformed_request"),
        ("GET /public HTTP/1.1\r\nHost: orders.example.com\r\nUpgrade: h2c\r\n", "upgrade_not_allowed"),
        ("GET /public HTTP/1.1\r\nHost: orders.example.com\r\nUpgrade: websocket\r\n", "upgrade_not_allowed"),
        ("TRACE /public HTTP/1.1\r\nHost: orders.example.com\r\n", "malformed_request"),
        ("trace /public HTTP/1.1\r\nHost: orders.example.com\r\n", "malformed_request"),
        ("TRACK /public HTTP/1.1\r\nHost: orders.example.com\r\n", "malformed_request"),
        ("connect /public HTTP/1.1\r\nHost: orders.example.com\r\n", "malformed_request"),
        ("CONNECT orders.example.com:80 HTTP/1.1\r\nHost: orders.example.com\r\n", "upgrade_not_allowed"),
    ] {
        let answer = world.raw(format!("{raw}Connection: close\r\n\r\n").as_bytes()).await;
        assert_rejected(&answer, 400, code);
    }
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn two_lengths_are_refused_and_the_connection_ends() {
    let world = World::start().await;
    let smuggled = "GET /orders/admin HTTP/1.1\r\nHost: orders.example.com\r\n\r\n";
    for framing in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5, 6\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length : 5\r\n",
        " Content-Length: 5\r\n",
    ] {
        let raw =
            format!("POST /public HTTP/1.1\r\nHost: orders.example.com\r\n{framing}\r\n0\r\n\r\n{smuggled}");
        let answer = world.raw(raw.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 501), "{framing}: {answer:?}");
    }
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn chunked_wins_or_is_refused_but_never_both() {
    let world = World::start().await;
    // RFC 9112 §6.3: with both, chunked counts, and the connection must not go on; nothing behind it is a request.
    let raw = b"POST /public HTTP/1.1\r\nHost: orders.example.com\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /orders/7 HTTP/1.1\r\nHost: orders.example.com\r\nConnection: close\r\n\r\n";
    let answer = world.raw(raw).await;
    if answer.status == 200 {
        let body = answer.json();
        assert_eq!(body["body"], "");
        assert!(answer.seen("content-length").iter().all(|length| length == "0"), "{body}");
    } else {
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert!(world.api.seen() <= 1);
    world.end().await;
}

#[tokio::test]
async fn broken_chunks_never_make_a_second_request() {
    let world = World::start().await;
    for body in [
        "ffffffffffffffffff\r\n",
        "-1\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
    ] {
        let before = world.api.seen();
        let raw = format!(
            "POST /public HTTP/1.1\r\nHost: orders.example.com\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{body}"
        );
        let answer = world.raw(raw.as_bytes()).await;
        assert_ne!(answer.status, 200, "{body:?}: {answer:?}");
        assert!(world.api.seen() <= before + 1);
    }
    world.end().await;
}

#[tokio::test]
async fn bytes_behind_a_refused_upgrade_are_not_forwarded() {
    let world = World::start().await;
    let raw = b"GET /public HTTP/1.1\r\nHost: orders.example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let answer = world.raw(raw).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn control_bytes_in_a_head_are_refused() {
    let world = World::start().await;
    for raw in [
        &b"GET /public HTTP/1.1\r\nHost: orders.example.com\r\nX-A: a\0b\r\nConnection: close\r\n\r\n"[..],
        b"GET /public HTTP/1.1\r\nHost: orders.example.com\r\nX-A: a\r\n b\r\nConnection: close\r\n\r\n",
        b"GET /pub\x01lic HTTP/1.1\r\nHost: orders.example.com\r\nConnection: close\r\n\r\n",
        b"GET  /public HTTP/1.1\r\nHost: orders.example.com\r\nConnection: close\r\n\r\n",
    ] {
        let answer = world.raw(raw).await;
        assert_eq!(answer.status, 400, "{:?}: {answer:?}", String::from_utf8_lossy(raw));
    }
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn requests_in_a_row_on_one_connection_are_judged_one_by_one() {
    let world = World::start().await;
    let raw = b"GET /public/1 HTTP/1.1\r\nHost: orders.example.com\r\n\r\nGET /orders/7 HTTP/1.1\r\nHost: orders.example.com\r\nConnection: close\r\n\r\n";
    let answer = world.raw(raw).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("token_missing"), "{}", answer.text());
    assert_eq!(world.api.seen(), 1);
    world.end().await;
}
