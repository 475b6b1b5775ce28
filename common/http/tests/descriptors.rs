//! A server that runs out of file descriptors. Alone in its process, because the limit is the process's.

use std::convert::Infallible;
use std::fs::File;
use std::time::Duration;

use http::{Request, Response};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use symbolon_daemon::{Lifecycle, Registry};
use symbolon_http::Body;
use symbolon_http::server::{Bind, Server, ServerMetrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_server_without_descriptors_waits_and_then_serves() {
    let lifecycle = Lifecycle::new(Duration::from_secs(5));
    let (mut registry, metrics) = (Registry::new(), ServerMetrics::default());
    metrics.register(&mut registry);
    let bound = "127.0.0.1:0".parse::<Bind>().unwrap().listen().unwrap();
    let address = bound.address().tcp().unwrap();
    let service = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("served")))
    });
    Server::new("test", bound).metrics(metrics).serve(service, &lifecycle);

    // Use up every descriptor but the one that our own client needs.
    let limit = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    hoard.pop();
    let mut client = timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    timeout(PATIENCE, async {
        while !registry.encode().unwrap().contains("symbolon_http_accept_errors_total{listener=\"test\"} 2") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    drop(hoard);
    let mut answer = String::new();
    timeout(PATIENCE, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("served"), "{answer}");
}
