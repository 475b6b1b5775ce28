//! Requests that two parsers could read differently: refused, or exactly one unambiguous request upstream.

use crate::raw::{exchange, status};
use crate::support::lifecycle;
use crate::upstream::{OK, Pass, all, proxy, requests, upstream};
use symbolon_http::forward::ForwardOptions;

/// Sends `request` through a forwarder. Answers with the client's view and what arrived upstream.
async fn through(request: &str) -> (String, usize, String) {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let front = proxy(&lifecycle, &ForwardOptions::default(), Pass::to(address));
    let answer = exchange(front, request.as_bytes()).await;
    (answer, requests(&arrived), all(&arrived))
}

#[tokio::test]
async fn framing_that_has_no_single_meaning_is_refused() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\n";
    for fields in [
        "content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "content-length: +3\r\n\r\nabc",
        "content-length: 3,4\r\n\r\nabc",
        "content-length: 5,5\r\n\r\nhello",
        "content-length: -1\r\n\r\n",
        "content-length: 0x3\r\n\r\nabc",
        "content-length: 99999999999999999999\r\n\r\n",
        "content-length: \r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: identity\r\n\r\nabc",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
        "transfer-encoding: chunked\r\n\r\n-1\r\nabc",
        "transfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n",
        "x: a\r\n b\r\n\r\n",
        "x: a\rb\r\n\r\n",
        "x: a\0b\r\n\r\n",
        "x y: a\r\n\r\n",
        ": a\r\n\r\n",
    ] {
        let (answer, _, sent) = through(&format!("{head}{fields}")).await;
        assert_eq!(status(&answer), 400, "{fields:?}: {answer}");
        // A broken chunk may have let the head through; never a whole request.
        assert!(!sent.contains("0\r\n\r\n"), "{fields:?}: {sent}");
    }
}

#[tokio::test]
async fn stacked_transfer_codings_are_refused_and_nothing_is_sent() {
    for coding in ["gzip, chunked", "chunked, chunked", "identity, chunked"] {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {coding}\r\nconnection: close\r\n\r\n0\r\n\r\n"
        );
        let (answer, arrived, _) = through(&request).await;
        assert_eq!((status(&answer), arrived), (400, 0), "{coding}: {answer}");
    }
}

#[tokio::test]
async fn both_framings_become_one_chunked_request_and_the_connection_ends() {
    for fields in
        ["content-length: 6\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 6"]
    {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let (answer, arrived, sent) = through(&request).await;
        assert!(arrived <= 1, "{sent}");
        assert!(!sent.contains("smuggled") && !sent.contains("content-length: 6"), "{sent}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn equal_lengths_become_one() {
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc";
    let (answer, arrived, sent) = through(request).await;
    assert_eq!((status(&answer), arrived), (200, 1), "{answer}");
    assert_eq!(sent.matches("content-length").count(), 1, "{sent}");
}

#[tokio::test]
async fn http_1_0_has_no_transfer_coding() {
    let (answer, arrived, _) =
        through("POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
    assert_eq!((status(&answer), arrived), (400, 0), "{answer}");
}

#[tokio::test]
async fn bare_line_feeds_and_chunk_extensions_are_written_anew() {
    for request in [
        "GET /lf HTTP/1.1\nhost: a\nconnection: close\n\n",
        "POST /ext HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
    ] {
        let (answer, arrived, sent) = through(request).await;
        assert!(arrived <= 1, "{sent}");
        if arrived == 0 {
            assert_eq!(status(&answer), 400, "{answer}");
        } else {
            assert!(!sent.replace("\r\n", "").contains('\n') && !sent.contains("x=y"), "{sent}");
        }
    }
}

#[tokio::test]
async fn endless_chunk_extensions_are_refused() {
    let extension = "x".repeat(1 << 20);
    let (answer, arrived, sent) = through(&format!(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3;{extension}\r\nabc\r\n0\r\n\r\n"
    ))
    .await;
    assert!(status(&answer) != 200, "{answer}");
    assert!(arrived <= 1 && !sent.contains("xxxx"), "{arrived}");
}

#[tokio::test]
async fn a_target_that_is_not_a_path_or_a_host_that_is_not_one_is_refused() {
    for request in [
        "GET http://other/ HTTP/1.1\r\nhost: a\r\n",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n",
        "GET  HTTP/1.1\r\nhost: a\r\n",
        "GET x HTTP/1.1\r\nhost: a\r\n",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n",
        "GET / HTTP/1.1\r\nhost: a/b\r\n",
        "GET / HTTP/1.1\r\nhost: u@a\r\n",
        "GET / HTTP/1.1\r\nhost: \r\n",
    ] {
        let (answer, arrived, _) = through(&format!("{request}connection: close\r\n\r\n")).await;
        assert_eq!((status(&answer), arrived), (400, 0), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn a_body_on_get_is_framed_and_a_pipelined_request_is_a_request_of_its_own() {
    let request = "GET /one HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nGET /\
        GET /two HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let (answer, _, sent) = through(request).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    assert!(sent.starts_with("GET /one HTTP/1.1\r\n") && sent.contains("content-length: 5\r\n"), "{sent}");
    assert_eq!(sent.matches("authorization: DPoP ours").count(), 2, "{sent}");
}
