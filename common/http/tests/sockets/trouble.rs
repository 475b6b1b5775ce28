//! The forwarder when somebody is slow, wrong, or gone.

use std::time::Duration;

use symbolon_http::forward::ForwardOptions;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::raw::{Raw, exchange, status};
use crate::support::{lifecycle, soon};
use crate::upstream::{OK, Pass, proxy, upstream};

fn options() -> ForwardOptions {
    ForwardOptions::default()
}

#[tokio::test]
async fn an_upstream_in_trouble_is_told_by_kind() {
    let lifecycle = lifecycle();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    for (behaviour, expected) in [
        ("SSH-2.0-OpenSSH\r\n\r\n", (502, "does not answer in HTTP")),
        (
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
            (502, "does not answer in HTTP"),
        ),
        ("", (502, "upstream_unavailable")),
    ] {
        let (address, _) = upstream(&lifecycle, behaviour).await;
        let front = proxy(&lifecycle, &options(), Pass::to(address));
        let answer = exchange(front, request).await;
        assert_eq!(status(&answer), expected.0, "{behaviour:?}: {answer}");
        assert!(answer.contains(expected.1), "{behaviour:?}: {answer}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let answer = exchange(proxy(&lifecycle, &options(), Pass::to(gone)), request).await;
    assert!(answer.contains("upstream_unavailable") && status(&answer) == 502, "{answer}");
}

#[tokio::test]
async fn a_silent_upstream_is_a_timeout_that_says_at_what() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let soon = Duration::from_millis(50);
    let options = ForwardOptions { connect_timeout: soon, answer_timeout: soon, ..options() };
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = exchange(proxy(&lifecycle, &options, Pass::to(address)), request).await;
    assert!(answer.contains("upstream_timeout") && answer.contains("too long to answer"), "{answer}");
    let pass = Pass::at(&format!("https://{address}"));
    let options = ForwardOptions { answer_timeout: Duration::from_secs(10), ..options };
    let answer = exchange(proxy(&lifecycle, &options, pass), request).await;
    assert!(answer.contains("upstream_timeout") && answer.contains("too long to connect"), "{answer}");
}

#[tokio::test]
async fn a_slow_upload_is_not_a_slow_upstream() {
    let lifecycle = lifecycle();
    let (address, _) = upstream(&lifecycle, OK).await;
    let options = ForwardOptions { answer_timeout: Duration::from_millis(200), ..options() };
    let front = proxy(&lifecycle, &options, Pass::to(address));
    let mut raw = Raw::connect(front).await;
    raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\nconnection: close\r\n\r\n").await;
    for _ in 0..12 {
        // The pace is what is tested: 12 × 50 ms is three times the limit.
        tokio::time::sleep(Duration::from_millis(50)).await;
        raw.send(b"x").await;
    }
    assert_eq!(status(&raw.rest().await), 200);
}

#[tokio::test]
async fn a_request_above_the_limit_is_refused_announced_or_not() {
    let lifecycle = lifecycle();
    let (address, _) = upstream(&lifecycle, OK).await;
    let options = ForwardOptions { max_request_body: Some(4), ..options() };
    let front = proxy(&lifecycle, &options, Pass::to(address));
    let announced = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    assert_eq!(status(&exchange(front, announced).await), 413);
    let chunked = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(status(&exchange(front, chunked).await), 413);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_along() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = proxy(&lifecycle, &options(), Pass::to(listener.local_addr().unwrap()));
    let mut client = Raw::connect(front).await;
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart").await;
    let (mut server, _) = soon("the forwarder", listener.accept()).await.unwrap();
    let mut buffer = [0; 4096];
    soon("the head", server.read(&mut buffer)).await.unwrap();
    drop(client);
    soon("the end", async { while let Ok(1..) = server.read(&mut buffer).await {} }).await;
}
