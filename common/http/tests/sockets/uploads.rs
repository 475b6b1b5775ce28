//! A request's body ends with the right to it and with its exchange, whatever its client goes on sending.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::forward::ForwardOptions;
use symbolon_http::server::Limits;
use symbolon_http::streams::Streams;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::http2::{connect, http2, post, request, text};
use crate::raw::{Raw, status};
use crate::support::{lifecycle, serve, soon};
use crate::upstream::{OK, Pass, proxy, requests, upstream};

const POST: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";

/// What an upstream received of a request: its pieces, then how it ended.
type Received = mpsc::UnboundedReceiver<Result<Bytes, &'static str>>;

/// More than the windows of HTTP/2 hold.
const FLOOD: usize = 32 << 20;

/// An upstream that reads all it is sent, and answers at once or, if `late`, only when that has ended. It has much to say
/// at `/flood`.
fn reader(lifecycle: &Lifecycle, late: bool) -> (SocketAddr, Received) {
    let (tell, received) = mpsc::unbounded_channel();
    let tasks = lifecycle.clone();
    let address = serve(Limits::default(), lifecycle, move |request: Request<Body>| {
        let (tell, tasks, ended) = (tell.clone(), tasks.clone(), Arc::new(Semaphore::new(0)));
        let end = Arc::clone(&ended);
        let flood = request.uri().path() == "/flood";
        // Not in the handler: it would be dropped with its stream, and tell nothing.
        tasks.spawn_background("upload", async move {
            let mut body = request.into_body();
            let last = loop {
                match body.frame().await {
                    Some(Ok(frame)) => drop(tell.send(Ok(frame.into_data().unwrap_or_default()))),
                    Some(Err(_)) => break "cut",
                    None => break "whole",
                }
            };
            let _ = tell.send(Err(last));
            end.add_permits(1);
        });
        async move {
            if late {
                drop(ended.acquire().await);
            }
            Response::new(if flood { Body::from(vec![0; FLOOD]) } else { Body::from("ok") })
        }
    });
    (address, received)
}

async fn next(received: &mut Received) -> Result<Bytes, &'static str> {
    soon("what the upstream receives", received.recv()).await.unwrap()
}

#[tokio::test]
async fn a_revocation_ends_an_http2_upload_that_waits_for_its_answer() {
    let lifecycle = lifecycle();
    let streams = Streams::new(&lifecycle);
    let (address, mut received) = reader(&lifecycle, true);
    let front =
        proxy(&lifecycle, &http2(), Pass { held: Some((streams.clone(), None)), ..Pass::to(address) });
    let mut sender = connect(&lifecycle, front).await;
    let (writer, answer) = request(&mut sender, "/");
    writer.send(text("one")).await.unwrap();
    assert_eq!(next(&mut received).await, Ok("one".into()));
    assert_eq!(streams.end_where(|_| true), 1);
    assert_eq!(next(&mut received).await, Err("cut"));
    let answer = soon("an answer", answer).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.into_body().collect().await.unwrap().to_bytes().starts_with(b"revoked"));
    soon("the client to notice", writer.closed()).await;
    assert!(streams.is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_cannot_send_after_its_end() {
    let lifecycle = lifecycle();
    let streams = Streams::new(&lifecycle);
    let (address, mut received) = reader(&lifecycle, false);
    let held = Some((streams, Some(Duration::from_millis(800))));
    let front = proxy(&lifecycle, &http2(), Pass { held, ..Pass::to(address) });
    let mut sender = connect(&lifecycle, front).await;
    let (writer, unread) = post(&mut sender, "/flood").await;
    let begun = Instant::now();
    soon("the upload to be cut", async { while writer.send(text("x")).await.is_ok() {} }).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    while next(&mut received).await.is_ok() {}
    drop(unread);
}

#[tokio::test]
async fn a_revocation_ends_an_http1_upload_that_waits_for_its_answer() {
    let lifecycle = lifecycle();
    let streams = Streams::new(&lifecycle);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pass = Pass { held: Some((streams.clone(), None)), ..Pass::to(listener.local_addr().unwrap()) };
    let mut client = Raw::connect(proxy(&lifecycle, &ForwardOptions::default(), pass)).await;
    client.send(POST).await;
    let mut server = Raw { stream: soon("the forwarder", listener.accept()).await.unwrap().0 };
    server.until("one").await;
    assert_eq!(streams.end_where(|_| true), 1);
    let answer = client.until("revoked").await;
    assert_eq!(status(&answer), 401, "{answer}");
    let rest = server.rest().await;
    assert!(!rest.contains("0\r\n\r\n"), "the last chunk would say that this is all: {rest:?}");
}

#[tokio::test]
async fn an_http2_upload_does_not_outlive_its_answer() {
    let lifecycle = lifecycle();
    let (address, mut received) = reader(&lifecycle, false);
    let front = proxy(&lifecycle, &http2(), Pass::to(address));
    let mut sender = connect(&lifecycle, front).await;
    let (writer, answer) = post(&mut sender, "/").await;
    // It may be cut already.
    let _ = writer.send(text("one")).await;
    assert_eq!(soon("the answer", answer.into_body().collect()).await.unwrap().to_bytes(), "ok");
    // The upstream may or may not have seen what was under way.
    let end = match next(&mut received).await {
        Ok(_) => next(&mut received).await,
        end => end,
    };
    assert_eq!(end, Err("cut"));
    soon("the client to notice", writer.closed()).await;
    // Only that stream: its connection goes on.
    let (writer, answer) = post(&mut sender, "/").await;
    assert_eq!(answer.status(), 200);
    drop(writer);
}

#[tokio::test]
async fn an_http1_upload_does_not_outlive_its_answer() {
    let lifecycle = lifecycle();
    for early in
        [OK, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pass = Pass::to(listener.local_addr().unwrap());
        let mut client = Raw::connect(proxy(&lifecycle, &ForwardOptions::default(), pass)).await;
        client.send(POST).await;
        let mut server = Raw { stream: soon("the forwarder", listener.accept()).await.unwrap().0 };
        server.until("one").await;
        server.send(early.as_bytes()).await;
        client.until("x-edited: yes").await;
        let rest = server.rest().await;
        assert!(!rest.contains("0\r\n\r\n"), "the last chunk would say that this is all: {rest:?}");
    }
}

#[tokio::test]
async fn an_upload_that_was_whole_leaves_its_connection_for_the_next_one() {
    let lifecycle = lifecycle();
    for answer in [OK, "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n"] {
        let (address, arrived) = upstream(&lifecycle, answer).await;
        let pass = Pass { held: Some((Streams::new(&lifecycle), None)), ..Pass::to(address) };
        let mut client = Raw::connect(proxy(&lifecycle, &ForwardOptions::default(), pass)).await;
        for body in
            ["transfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n", "content-length: 3\r\n\r\none"]
        {
            client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{body}").as_bytes()).await;
            client.until("x-edited: yes").await;
        }
        assert_eq!((requests(&arrived), arrived.lock().unwrap().len()), (2, 1));
    }
}

#[tokio::test]
async fn an_upload_that_ends_first_leaves_its_answer_alone() {
    let lifecycle = lifecycle();
    let (address, mut received) = reader(&lifecycle, true);
    let front = proxy(&lifecycle, &http2(), Pass::to(address));
    let mut sender = connect(&lifecycle, front).await;
    let (writer, answer) = request(&mut sender, "/");
    writer.send(text("one")).await.unwrap();
    drop(writer);
    assert_eq!(next(&mut received).await, Ok("one".into()));
    let mut end = next(&mut received).await;
    while end == Ok(Bytes::new()) {
        end = next(&mut received).await;
    }
    assert_eq!(end, Err("whole"));
    let answer = soon("an answer", answer).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
}
