//! HTTP/1.1, HTTP/2, gRPC and WebSockets through a gateway that speaks TLS.

use std::convert::Infallible;

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use symbolon_e2e::certificates::{Authority, Volume};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::sockets::{Echo, frame, handshake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{API, Guarded, ISSUER, gateway};

#[tokio::test]
async fn a_gateway_serves_http_1_1_and_2_over_tls() {
    let guarded = Guarded::start().await;
    let answer = guarded.ask().await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));

    let address = guarded.gateway.address;
    let stream = guarded.authority.client(&["h2", "http/1.1"]).connect(address).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    for _ in 0..3 {
        let request = Request::get(format!("https://{address}/orders/1"))
            .header("authorization", format!("Bearer {}", guarded.issuer.token(API)))
            .body(Empty::<Bytes>::new())
            .unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    }
    // Who offers neither protocol is not turned away: HTTP/1.1 needs no word for it.
    let mut silent = guarded.authority.client(&[]).connect(address).await.unwrap();
    assert_eq!(silent.get_ref().1.alpn_protocol(), None);
    silent.write_all(b"GET /orders/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut said = String::new();
    silent.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
}

#[tokio::test]
async fn a_websocket_passes_a_gateway_over_tls() {
    let (authority, issuer, api) = (Authority::new(), TestIssuer::new(ISSUER), Echo::start().await);
    let volume = Volume::new(&authority.pair());
    let route = format!(
        "  - {{ name: chat, match: {{ path: /chat }}, resource: \"{API}\", upstream: {{ url: \"http://{}\" }}, stages: [{{ verify: {{ issuers: [a] }} }}] }}\n",
        api.address
    );
    let gateway = gateway(&volume, &issuer, &route).await;
    let mut socket = authority.client(&["http/1.1"]).connect(gateway.address).await.unwrap();
    let token = format!("Authorization: Bearer {}\r\n", issuer.token(API));
    socket.write_all(handshake("/chat", gateway.address, &token).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    // More than one record of TLS, both ways at once.
    let word = frame(&"x".repeat(100)).repeat(1000);
    let (mut reader, mut writer) = tokio::io::split(socket);
    let mut echoed = vec![0; word.len()];
    let (written, read) = tokio::join!(writer.write_all(&word), reader.read_exact(&mut echoed));
    written.unwrap();
    read.unwrap();
    assert!(echoed == word, "what came back is what was sent");
}

#[tokio::test]
async fn a_grpc_call_passes_a_gateway_over_tls_with_its_trailers() {
    let (authority, issuer) = (Authority::new(), TestIssuer::new(ISSUER));
    let volume = Volume::new(&authority.pair());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let route = format!(
        "  - {{ name: calls, match: {{ path: /test.Echo/** }}, resource: \"{API}\", upstream: {{ url: \"http://{}\", http2: true }}, stages: [{{ verify: {{ issuers: [a] }} }}] }}\n",
        listener.local_addr().unwrap()
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_grpc(listener));
    let gateway = gateway(&volume, &issuer, &route).await;
    let stream = authority.client(&["h2"]).connect(gateway.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tasks.spawn(async move { drop(connection.await) });
    let message = Bytes::from_static(b"\0\0\0\0\x05hello");
    let request = Request::post(format!("https://{}/test.Echo/Say", gateway.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", issuer.token(API)))
        .body(Full::new(message.clone()))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let whole = answer.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(whole.to_bytes(), message);
}

/// A server that sends back each message, and says in trailers that all is well.
async fn serve_grpc(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = service_fn(|request: Request<Incoming>| async move {
            let message = request.into_body().collect().await.unwrap().to_bytes();
            let trailers = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                HeaderValue::from_static("0"),
            )]);
            let frames = [Frame::data(message), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
            let body = StreamBody::new(futures_util::stream::iter(frames));
            Ok::<_, Infallible>(
                Response::builder().header("content-type", "application/grpc").body(body).unwrap(),
            )
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        connections.spawn(server.serve_connection(TokioIo::new(stream), service));
    }
}
