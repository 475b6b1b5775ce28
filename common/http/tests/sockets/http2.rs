//! HTTP/2 both ways through the forwarder: streams, trailers, half-close, cancelling, ends before the end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use symbolon_daemon::{Ended, Lifecycle};
use symbolon_http::Body;
use symbolon_http::forward::ForwardOptions;
use symbolon_http::server::Limits;
use symbolon_http::streams::Streams;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use crate::raw::Raw;
use crate::support::{lifecycle, serve, soon};
use crate::upstream::{OK, Pass, proxy, upstream};

/// A body that a test writes while it is sent.
pub(crate) struct Written(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Written {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

pub(crate) fn http2() -> ForwardOptions {
    ForwardOptions { http2: true, ..ForwardOptions::default() }
}

pub(crate) async fn connect(lifecycle: &Lifecycle, address: SocketAddr) -> SendRequest<Written> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    lifecycle.spawn_background("client", async move {
        let _ = connection.await;
    });
    sender
}

/// Begins a POST whose body the test writes.
pub(crate) fn request(
    sender: &mut SendRequest<Written>,
    path: &str,
) -> (mpsc::Sender<Frame<Bytes>>, impl Future<Output = hyper::Result<Response<Incoming>>> + Send + use<>) {
    let (writer, frames) = mpsc::channel(1);
    let request = Request::post(format!("http://front.example{path}")).header("te", "trailers");
    (writer, sender.send_request(request.body(Written(frames)).unwrap()))
}

/// The same, once its answer has begun.
pub(crate) async fn post(
    sender: &mut SendRequest<Written>,
    path: &str,
) -> (mpsc::Sender<Frame<Bytes>>, Response<Incoming>) {
    let (writer, answer) = request(sender, path);
    (writer, soon("an answer", answer).await.unwrap())
}

async fn data(body: &mut Incoming) -> Bytes {
    soon("a frame", body.frame()).await.unwrap().unwrap().into_data().unwrap()
}

async fn trailers(body: &mut Incoming) -> HeaderMap {
    soon("trailers", body.frame()).await.unwrap().unwrap().into_trailers().unwrap()
}

pub(crate) fn text(bytes: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(bytes.as_bytes()))
}

/// An upstream that speaks HTTP/2 by prior knowledge and answers with what it is sent, as it comes.
fn echo(lifecycle: &Lifecycle, content_type: &'static str) -> SocketAddr {
    serve(Limits::default(), lifecycle, move |request: Request<Body>| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        let mut answer = Response::builder().header("content-type", content_type);
        for name in ["te", "host", "connection", "authorization"] {
            if let Some(value) = request.headers().get(name) {
                answer = answer.header(format!("x-seen-{name}"), value);
            }
        }
        answer
            .header("x-seen-authority", request.uri().authority().unwrap().as_str())
            .body(request.into_body())
            .unwrap()
    })
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways_and_half_close_is_kept() {
    let lifecycle = lifecycle();
    let address = echo(&lifecycle, "application/grpc");
    let front = proxy(&lifecycle, &http2(), Pass::to(address));
    let mut sender = connect(&lifecycle, front).await;
    let (writer, answer) = post(&mut sender, "/a?b").await;
    assert_eq!(answer.headers()["x-seen-te"], "trailers");
    assert_eq!(answer.headers()["x-seen-authority"], address.to_string());
    assert_eq!(answer.headers()["x-seen-authorization"], "DPoP ours");
    assert!(
        !answer.headers().contains_key("x-seen-host") && !answer.headers().contains_key("x-seen-connection")
    );
    let mut body = answer.into_body();
    for word in ["one", "two"] {
        writer.send(text(word)).await.unwrap();
        assert_eq!(data(&mut body).await, word, "the answer streams while the request is open");
    }
    let sent: HeaderMap = [
        ("x-sum", "1"),
        ("authorization", "Bearer theirs"),
        ("x-workload-id", "spiffe://theirs"),
        ("dpop", "x"),
    ]
    .into_iter()
    .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
    .collect();
    writer.send(Frame::trailers(sent)).await.unwrap();
    let got = trailers(&mut body).await;
    assert_eq!(got.iter().collect::<Vec<_>>(), [(&"x-sum".parse().unwrap(), &"1".parse().unwrap())]);
}

#[tokio::test]
async fn a_client_that_cancels_is_noticed_by_the_upstream() {
    let lifecycle = lifecycle();
    let (here, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, tasks) = ([Arc::clone(&here), Arc::clone(&gone)], lifecycle.clone());
    let address = serve(Limits::default(), &lifecycle, move |request: Request<Body>| {
        let (tell, tasks) = (tell.clone(), tasks.clone());
        async move {
            let mut body = request.into_body();
            tasks.spawn_background("upload", async move {
                let [here, gone] = tell;
                while let Some(Ok(_)) = body.frame().await {
                    here.notify_one();
                }
                gone.notify_one();
            });
            std::future::pending().await
        }
    });
    let front = proxy(&lifecycle, &http2(), Pass::to(address));
    let mut sender = connect(&lifecycle, front).await;
    let (writer, answer) = request(&mut sender, "/");
    writer.send(text("x")).await.unwrap();
    soon("the upload", here.notified()).await;
    drop((writer, answer, sender));
    soon("the cancel", gone.notified()).await;
}

#[tokio::test]
async fn at_its_deadline_a_grpc_answer_ends_with_status_16_and_its_upload_too() {
    let lifecycle = lifecycle();
    let streams = Streams::new(&lifecycle);
    let address = echo(&lifecycle, "application/grpc+proto");
    let held = Some((streams.clone(), Some(Duration::from_millis(600))));
    let front = proxy(&lifecycle, &http2(), Pass { held, ..Pass::to(address) });
    let mut sender = connect(&lifecycle, front).await;
    let (writer, answer) = post(&mut sender, "/").await;
    let mut body = answer.into_body();
    writer.send(text("one")).await.unwrap();
    assert_eq!(data(&mut body).await, "one");
    let end = trailers(&mut body).await;
    assert_eq!(
        (&end["grpc-status"], &end["grpc-message"]),
        (&"16".parse().unwrap(), &"token_expired".parse().unwrap())
    );
    assert!(soon("the end", body.frame()).await.is_none());
    soon("the upload to end", writer.closed()).await;
    assert!(streams.is_empty());
}

#[tokio::test]
async fn a_grpc_answer_that_goes_on_ends_with_status_14_before_the_drain_is_over() {
    let (others, life) = (lifecycle(), Lifecycle::new(Duration::from_secs(3)));
    let held = Some((Streams::new(&life), None));
    let address = echo(&others, "application/grpc");
    let front = proxy(&life, &http2(), Pass { held, ..Pass::to(address) });
    let mut sender = connect(&others, front).await;
    let (writer, answer) = post(&mut sender, "/").await;
    let mut body = answer.into_body();
    writer.send(text("one")).await.unwrap();
    assert_eq!(data(&mut body).await, "one");
    life.shutdown();
    let (ended, end) = tokio::join!(life.run(), trailers(&mut body));
    assert_eq!(
        (&end["grpc-status"], &end["grpc-message"]),
        (&"14".parse().unwrap(), &"shutdown".parse().unwrap())
    );
    assert_eq!(ended, Ended::Drained);
}

/// What comes of a gRPC call with this time limit whose answer never begins.
async fn unanswered(options: ForwardOptions, held: Option<Duration>, timeout: &str) -> u16 {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |_: Request<Body>| std::future::pending());
    let held = held.map(|within| (Streams::new(&lifecycle), Some(within)));
    let front = proxy(&lifecycle, &options, Pass { held, ..Pass::to(address) });
    let mut sender = connect(&lifecycle, front).await;
    let (_writer, frames) = mpsc::channel(1);
    let call = Request::post("http://front.example/a").header("content-type", "application/grpc");
    let call = call.header("grpc-timeout", timeout).body(Written(frames)).unwrap();
    soon("an answer", sender.send_request(call)).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_grpc_call_waits_as_long_as_it_says_but_not_beyond_its_right() {
    assert_eq!(unanswered(http2(), None, "300m").await, 504, "less than usual");
    let hasty = || ForwardOptions { answer_timeout: Duration::from_millis(300), ..http2() };
    assert_eq!(unanswered(hasty(), None, "1H").await, 504, "a stranger cannot ask for more");
    let right = Some(Duration::from_millis(900));
    assert_eq!(unanswered(hasty(), right, "1H").await, 401, "a holder waits until its right ends");
}

#[tokio::test]
async fn other_answers_break_off_so_that_nobody_takes_them_for_whole() {
    let lifecycle = lifecycle();
    for content_type in ["text/event-stream", "application/grpc-web+proto", "application/grpcx"] {
        let streams = Streams::new(&lifecycle);
        let address = echo(&lifecycle, content_type);
        let front =
            proxy(&lifecycle, &http2(), Pass { held: Some((streams.clone(), None)), ..Pass::to(address) });
        let mut sender = connect(&lifecycle, front).await;
        let (writer, answer) = post(&mut sender, "/").await;
        let mut body = answer.into_body();
        writer.send(text("one")).await.unwrap();
        assert_eq!(data(&mut body).await, "one");
        assert_eq!(streams.end_where(|_| true), 1);
        assert!(soon("the end", body.frame()).await.unwrap().is_err(), "{content_type}");
    }
}

#[tokio::test]
async fn an_event_stream_over_http_1_breaks_off_at_its_deadline() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let held = Some((Streams::new(&lifecycle), Some(Duration::from_millis(500))));
    let pass = Pass { held, ..Pass::to(listener.local_addr().unwrap()) };
    let mut client = Raw::connect(proxy(&lifecycle, &ForwardOptions::default(), pass)).await;
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut server = Raw { stream: soon("the forwarder", listener.accept()).await.unwrap().0 };
    server.until("\r\n\r\n").await;
    server
        .send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        .await;
    client.until("data: 1").await;
    let rest = client.rest().await;
    assert!(!rest.contains("0\r\n\r\n"), "the last chunk would say that this is all: {rest:?}");
    assert_eq!(server.rest().await, "");
}

#[tokio::test]
async fn a_request_whose_time_ends_before_its_answer_begins_is_refused() {
    let lifecycle = lifecycle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let held = Some((Streams::new(&lifecycle), Some(Duration::from_millis(300))));
    let pass = Pass { held, ..Pass::to(listener.local_addr().unwrap()) };
    let mut client = Raw::connect(proxy(&lifecycle, &ForwardOptions::default(), pass)).await;
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("expired"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_an_http2_upstream_back() {
    let lifecycle = lifecycle();
    let produced = Arc::new(AtomicU64::new(0));
    let address = echo(&lifecycle, "application/octet-stream");
    let front = proxy(&lifecycle, &http2(), Pass::to(address));
    let mut sender = connect(&lifecycle, front).await;
    let (writer, answer) = post(&mut sender, "/").await;
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    while let Ok(sent) =
        tokio::time::timeout(Duration::from_millis(300), writer.send(Frame::data(chunk.clone()))).await
    {
        sent.unwrap();
        let total = produced.fetch_add(64 * 1024, SeqCst);
        assert!(total < 32 << 20, "somebody buffers");
    }
    drop(answer);
}

#[tokio::test]
async fn an_answer_that_is_not_read_does_not_hold_back_others_on_its_connection() {
    let lifecycle = lifecycle();
    let address = serve(Limits::default(), &lifecycle, |request: Request<Body>| async move {
        let long = request.uri().path() == "/long";
        Response::new(if long { Body::from(vec![b'x'; 32 << 20]) } else { Body::from("short") })
    });
    let front = proxy(&lifecycle, &http2(), Pass::to(address));
    let mut unread = Vec::new();
    for _ in 0..8 {
        // A client each: only the connection to the upstream is shared.
        let mut sender = connect(&lifecycle, front).await;
        unread.push((post(&mut sender, "/long").await, sender));
    }
    let mut sender = connect(&lifecycle, front).await;
    let (_, answer) = post(&mut sender, "/").await;
    assert_eq!(soon("the short answer", answer.into_body().collect()).await.unwrap().to_bytes(), "short");
}

#[tokio::test]
async fn an_upstream_of_the_other_protocol_is_no_upstream() {
    let lifecycle = lifecycle();
    let (address, _) = upstream(&lifecycle, OK).await;
    let mut sender = connect(&lifecycle, proxy(&lifecycle, &http2(), Pass::to(address))).await;
    let (_, answer) = post(&mut sender, "/").await;
    assert_eq!(answer.status(), 502);
}

#[tokio::test]
async fn connect_over_http2_is_refused_also_in_its_extended_form() {
    let lifecycle = lifecycle();
    let (address, arrived) = upstream(&lifecycle, OK).await;
    let front = proxy(&lifecycle, &ForwardOptions::default(), Pass::to(address));
    let mut sender = connect(&lifecycle, front).await;
    let (writer, frames) = mpsc::channel(1);
    let request = Request::connect("front.example:443").body(Written(frames)).unwrap();
    let answer = soon("an answer", sender.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), 400);
    drop(writer);
    // RFC 8441 §4: `:method CONNECT`, `:protocol websocket`, then the usual three.
    let mut head = vec![0x42, 7];
    head.extend(b"CONNECT");
    head.extend([0x00, 9]);
    head.extend(b":protocol");
    head.extend([9]);
    head.extend(b"websocket");
    head.extend([0x86, 0x84, 0x41, 1, b'a']);
    let mut raw = Raw::connect(front).await;
    raw.send(&[frames::hello(), frames::frame(frames::HEADERS, 4, 1, &head)].concat()).await;
    let said = frames::until(&mut raw.stream, frames::RST_STREAM).await;
    assert!(said.is_some(), "the stream is reset");
    assert_eq!(crate::upstream::all(&arrived), "");
}

/// Frames of HTTP/2, written by hand.
mod frames {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const CONTINUATION: u8 = 9;
    /// `GET http://a/` by the static table (RFC 7541 appendix A).
    pub(super) const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, b'a'];

    pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    pub(super) fn hello() -> Vec<u8> {
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
    }

    /// Reads frames until one of this kind, and returns its payload; none if the connection ends before.
    pub(super) async fn until(stream: &mut tokio::net::TcpStream, kind: u8) -> Option<Vec<u8>> {
        use tokio::io::AsyncReadExt as _;
        loop {
            let mut head = [0; 9];
            crate::support::soon("a frame", stream.read_exact(&mut head)).await.ok()?;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            crate::support::soon("its payload", stream.read_exact(&mut payload)).await.ok()?;
            if head[3] == kind {
                return Some(payload);
            }
        }
    }

    /// The error code of the GOAWAY among received frames.
    pub(super) fn goaway(mut bytes: &[u8]) -> Option<u32> {
        while let Some((head, rest)) = bytes.split_at_checked(9) {
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (payload, rest) = rest.split_at_checked(length)?;
            if head[3] == GOAWAY && payload[4..8] != [0; 4] {
                return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
            bytes = rest;
        }
        None
    }
}

/// Writes to a server that never answers, and returns what it says until it closes.
async fn attack(limits: Limits, bytes: &[u8]) -> (Vec<u8>, usize) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let lifecycle = lifecycle();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let address = serve(limits, &lifecycle, move |_| {
        count.fetch_add(1, SeqCst);
        std::future::pending()
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close in the middle.
    let _ = stream.write_all(&[frames::hello(), bytes.to_vec()].concat()).await;
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = soon("the server to close", stream.read(&mut buffer)).await {
        said.extend_from_slice(&buffer[..read]);
    }
    (said, begun.load(SeqCst))
}

#[tokio::test]
async fn streams_that_are_reset_as_soon_as_they_are_opened_end_the_connection() {
    let flood: Vec<u8> = (0..2_000_u32)
        .flat_map(|number| {
            let stream = number * 2 + 1;
            let open = frames::frame(frames::HEADERS, 5, stream, frames::GET);
            [open, frames::frame(frames::RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
        })
        .collect();
    let (said, begun) = attack(Limits::default(), &flood).await;
    assert!(begun < 600, "{begun} requests were begun");
    // ENHANCE_YOUR_CALM from hyper, or the end from us, whichever is first.
    assert!(matches!(frames::goaway(&said), Some(11) | None), "{:?}", frames::goaway(&said));
}

#[tokio::test]
async fn requests_that_are_abandoned_one_by_one_end_the_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let lifecycle = lifecycle();
    let begun = Arc::new(Notify::new());
    let tell = Arc::clone(&begun);
    let address = serve(Limits::default(), &lifecycle, move |_| {
        tell.notify_one();
        std::future::pending()
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&frames::hello()).await.unwrap();
    let mut abandoned = 0;
    for number in 0..400_u32 {
        let stream_id = number * 2 + 1;
        if stream.write_all(&frames::frame(frames::HEADERS, 5, stream_id, frames::GET)).await.is_err() {
            break;
        }
        // Each is begun before it is abandoned, so hyper's own count never sees it.
        if tokio::time::timeout(Duration::from_secs(2), begun.notified()).await.is_err() {
            break;
        }
        let reset = frames::frame(frames::RST_STREAM, 0, stream_id, &8_u32.to_be_bytes());
        if stream.write_all(&reset).await.is_err() {
            break;
        }
        abandoned += 1;
    }
    assert!((190..400).contains(&abandoned), "{abandoned} requests were abandoned");
    let mut buffer = [0; 4096];
    while let Ok(1..) = soon("the end", stream.read(&mut buffer)).await {}
}

#[tokio::test]
async fn an_endless_head_ends_the_connection() {
    let mut flood = frames::frame(frames::HEADERS, 1, 1, frames::GET);
    for _ in 0..2_000 {
        // A new field each time, literal and not indexed.
        let field = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x07][..], &[b'y'; 256]].concat();
        flood.extend(frames::frame(frames::CONTINUATION, 0, 1, &field));
    }
    let (said, begun) = attack(Limits::default(), &flood).await;
    assert_eq!(begun, 0);
    assert!(frames::goaway(&said).is_some() || said.is_empty(), "it closes");
}
