//! TLS on both sides, with certificates made for the test by the `openssl` command.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use symbolon_daemon::{Lifecycle, Registry};
use symbolon_http::client::{AddressPolicy, ClientError, GuardedClient};
use symbolon_http::forward::{ForwardOptions, ProbeError, probe};
use symbolon_http::server::{Bind, Bound, ConnectionInfo, Limits, Server, ServerMetrics};
use symbolon_http::tls::ServerTls;
use symbolon_http::{Body, TlsFault};

use crate::raw::{Raw, exchange, status};
use crate::support::{lifecycle, soon};
use crate::upstream::{Pass, proxy};

/// A self-signed certificate for `localhost` in `folder`: its file and its key's.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "`openssl req` failed");
    (certificate, key)
}

fn serve_tls(lifecycle: &Lifecycle, certificate: &Path, key: &Path) -> SocketAddr {
    let server = |bound| Server::new("tls", bound);
    serve_tls_as(server, lifecycle, &ServerTls::load(certificate, key).unwrap())
}

fn serve_tls_as(server: impl FnOnce(Bound) -> Server, lifecycle: &Lifecycle, tls: &ServerTls) -> SocketAddr {
    let bound = "127.0.0.1:0".parse::<Bind>().unwrap().listen().unwrap();
    let address = bound.address().tcp().unwrap();
    let service = tower::service_fn(|request: Request<Body>| async move {
        assert!(request.extensions().get::<ConnectionInfo>().unwrap().is_tls());
        let version = format!("{:?}", request.version());
        Ok::<_, Infallible>(
            Response::builder().header("x-version", version).body(Body::from("over TLS")).unwrap(),
        )
    });
    server(bound).tls(tls.clone()).serve(service, lifecycle);
    address
}

#[tokio::test]
async fn a_client_trusts_its_ca_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, key) = certificate(folder.path(), "ours");
    let (other, other_key) = certificate(folder.path(), "other");
    let lifecycle = lifecycle();
    let address = serve_tls(&lifecycle, &ours, &key);
    let url = format!("https://localhost:{}/", address.port()).parse().unwrap();
    let builder = || GuardedClient::builder().addresses(AddressPolicy::public().allow_loopback());
    let trusting = builder().ca_file(&ours).build().unwrap();
    let fetched = soon("an answer", trusting.get(&url, HeaderMap::new())).await.unwrap();
    assert_eq!(fetched.body, "over TLS");
    for client in [builder().build().unwrap(), builder().ca_file(&other).build().unwrap()] {
        let error = soon("an answer", client.get(&url, HeaderMap::new())).await.unwrap_err();
        assert!(matches!(error, ClientError::Tls(_)), "{error:?}");
        assert_eq!(error.tls_fault(), Some(TlsFault::UnknownIssuer), "{error:?}");
    }
    // The right certificate under another name.
    let by_address = format!("https://{address}/").parse().unwrap();
    let error = soon("an answer", trusting.get(&by_address, HeaderMap::new())).await.unwrap_err();
    assert_eq!(error.tls_fault(), Some(TlsFault::OtherName), "{error:?}");
    assert!(ServerTls::load(&ours, &other_key).is_err());
}

#[tokio::test]
async fn a_probe_ends_the_handshake_with_whom_it_trusts_and_tells_why_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, key) = certificate(folder.path(), "ours");
    let lifecycle = lifecycle();
    let address = serve_tls(&lifecycle, &ours, &key);
    let trusting = ForwardOptions { ca_file: Some(ours), ..ForwardOptions::default() };
    let by_name = format!("https://localhost:{}", address.port());
    soon("a connection", probe(&by_name.parse().unwrap(), &trusting)).await.unwrap();
    for (url, options, expected) in [
        (&by_name, &ForwardOptions::default(), TlsFault::UnknownIssuer),
        (&format!("https://{address}"), &trusting, TlsFault::OtherName),
    ] {
        let error = soon("a connection", probe(&url.parse().unwrap(), options)).await.unwrap_err();
        assert!(matches!(&error, ProbeError::Tls { fault, .. } if *fault == expected), "{error:?}");
    }
}

#[tokio::test]
async fn the_forwarder_speaks_tls_to_whom_it_trusts() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, key) = certificate(folder.path(), "ours");
    let lifecycle = lifecycle();
    let address = serve_tls(&lifecycle, &ours, &key);
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let pass = |host: &str| Pass::at(&format!("https://{host}:{}", address.port()));
    let trusting = ForwardOptions { ca_file: Some(ours), ..ForwardOptions::default() };
    for (http2, version) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
        let options = ForwardOptions { http2, ..trusting.clone() };
        let answer = exchange(proxy(&lifecycle, &options, pass("localhost")), request).await;
        assert!(
            answer.ends_with("over TLS") && answer.contains(&format!("x-version: {version}")),
            "{answer}"
        );
    }
    for (options, host) in [(&ForwardOptions::default(), "localhost"), (&trusting, "127.0.0.1")] {
        let answer = exchange(proxy(&lifecycle, options, pass(host)), request).await;
        assert_eq!(status(&answer), 502, "{answer}");
    }
}

#[tokio::test]
async fn plaintext_on_a_tls_port_gets_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, key) = certificate(folder.path(), "ours");
    let lifecycle = lifecycle();
    let address = serve_tls(&lifecycle, &ours, &key);
    let answer = exchange(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 0, "{answer}");
}

/// Metrics that are looked at until they say what they should.
struct Counted {
    metrics: ServerMetrics,
    registry: Registry,
}

impl Counted {
    fn new() -> Self {
        let (metrics, mut registry) = (ServerMetrics::default(), Registry::new());
        metrics.register(&mut registry);
        Self { metrics, registry }
    }

    async fn say(&self, line: &str) {
        soon(line, async {
            while !self.registry.encode().unwrap().contains(line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_replaced_certificate_serves_new_connections_and_a_broken_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (first, first_key) = certificate(folder.path(), "first");
    let (next, next_key) = certificate(folder.path(), "next");
    let (lifecycle, counted) = (lifecycle(), Counted::new());
    let server = |bound| Server::new("test", bound).metrics(counted.metrics.clone());
    let address = serve_tls_as(server, &lifecycle, &ServerTls::load(&first, &first_key).unwrap());
    let url = format!("https://localhost:{}/", address.port()).parse().unwrap();
    let trusting = GuardedClient::builder()
        .addresses(AddressPolicy::public().allow_loopback())
        .ca_file(&next)
        .build()
        .unwrap();
    let ask = || trusting.get(&url, HeaderMap::new());
    assert!(matches!(soon("an answer", ask()).await.unwrap_err(), ClientError::Tls(_)));
    // One file after the other: what is between them is not taken for a failure.
    std::fs::copy(&next_key, &first_key).unwrap();
    std::fs::copy(&next, &first).unwrap();
    counted.say("reloads_total{listener=\"test\",outcome=\"loaded\"} 1").await;
    counted.say("reloads_total{listener=\"test\",outcome=\"refused\"} 0").await;
    counted.say("symbolon_http_certificate_expiry_timestamp_seconds{listener=\"test\"} 1").await;
    assert_eq!(soon("an answer", ask()).await.unwrap().body, "over TLS");
    std::fs::write(&first, "").unwrap();
    counted.say("reloads_total{listener=\"test\",outcome=\"refused\"} 1").await;
    assert_eq!(soon("an answer", ask()).await.unwrap().body, "over TLS");
    // SIGHUP looks once more, and says once more that it is bad.
    lifecycle.request_reload();
    counted.say("reloads_total{listener=\"test\",outcome=\"refused\"} 2").await;
}

#[tokio::test]
async fn a_slow_handshake_is_cut_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, key) = certificate(folder.path(), "ours");
    let (lifecycle, counted) = (lifecycle(), Counted::new());
    let limits = Limits { head_timeout: Duration::from_millis(100), ..Limits::default() };
    let server = |bound| Server::new("test", bound).metrics(counted.metrics.clone()).limits(limits);
    let address = serve_tls_as(server, &lifecycle, &ServerTls::load(&ours, &key).unwrap());
    // The beginning of a record that never comes.
    let mut slow = Raw::connect(address).await;
    slow.send(b"\x16\x03\x01\x02\x00\x01").await;
    assert_eq!(slow.rest().await, "");
    counted.say("symbolon_http_connections_timed_out_total{listener=\"test\"} 1").await;
    counted.say("symbolon_http_tls_handshakes_failed_total{listener=\"test\"} 1").await;
    counted.say("symbolon_http_connections{listener=\"test\"} 0").await;
}
