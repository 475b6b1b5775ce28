//! Requests over a socket, as a stranger in the cluster can send them.
//! TLS is left out: it is the same for every listener.

use std::convert::Infallible;

use symbolon_daemon::{Lifecycle, Registry};
use symbolon_http::server::{Bind, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

struct Rig {
    address: std::net::SocketAddr,
    registry: Registry,
    _lifecycle: Lifecycle,
}

impl Rig {
    fn new() -> Self {
        let mut registry = Registry::new();
        let webhook = Arc::new(Webhook {
            settings: Arc::new(ArcSwap::from_pointee(settings())),
            native: Arc::new(AtomicBool::new(true)),
            metrics: Metrics::register(&mut registry),
        });
        let bound = Bind::Tcp("127.0.0.1:0".parse().unwrap()).listen().unwrap();
        let address = bound.address().tcp().unwrap();
        let lifecycle = Lifecycle::new(Duration::from_secs(1));
        let service = tower::service_fn(move |request: Request<Body>| {
            let webhook = Arc::clone(&webhook);
            async move { Ok::<_, Infallible>(webhook.answer(request).await) }
        });
        Server::new("webhook", bound).serve(service, &lifecycle);
        Self { address, registry, _lifecycle: lifecycle }
    }

    /// The answer to a request with this head and as much of this body as is taken.
    async fn send(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{head}\r\nhost: webhook\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let mut answer = Vec::new();
        let sent = async {
            // The server may answer before it has everything, and then takes no more.
            let _ = writing.write_all(body).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = sent => {}
            _ = reading.read_to_end(&mut answer) => {}
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn post(&self, path: &str, body: &str) -> String {
        let head = format!(
            "POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}",
            body.len()
        );
        self.send(&head, body.as_bytes()).await
    }

    fn counted(&self, outcome: &str, count: u32) -> bool {
        let line = format!("symbolon_injector_admissions_total{{outcome=\"{outcome}\"}} {count}");
        self.registry.encode().unwrap().contains(&line)
    }
}

fn pod(label: Option<&str>, containers: usize) -> String {
    let containers: Vec<Value> = (0..containers).map(|n| json!({ "name": format!("c{n}") })).collect();
    let labels = label.map_or(json!({}), |label| json!({ "symbolon.dev/inject": label }));
    question(&json!({ "metadata": { "labels": labels }, "spec": { "containers": containers } })).to_string()
}

#[tokio::test]
async fn a_pod_is_injected_over_the_wire_and_counted() {
    let rig = Rig::new();
    let answer = rig.post("/pods?timeout=3s", &pod(Some("true"), 1)).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"patchType\":\"JSONPatch\""),
        "{answer}"
    );
    assert!(rig.post("/pods", &pod(None, 1)).await.contains("\"allowed\":true"));
    assert!(rig.post("/enabled", &pod(None, 1)).await.contains("JSONPatch"));
    assert!(rig.post("/enforced", &pod(Some("false"), 1)).await.contains("enforced"));
    assert!(rig.counted("injected", 2) && rig.counted("unchanged", 1) && rig.counted("refused", 1));
}

#[tokio::test]
async fn a_body_of_any_size_is_answered_within_the_limit() {
    let rig = Rig::new();
    let head = "POST /pods HTTP/1.1\r\ncontent-type: application/json\r\n";
    let announced = rig.send(&format!("{head}content-length: 1073741824"), &vec![b' '; 4 << 20]).await;
    assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
    let mut chunked = b"3c0000\r\n".to_vec();
    chunked.extend(vec![b' '; 0x003c_0000]);
    let streamed = rig.send(&format!("{head}transfer-encoding: chunked"), &chunked).await;
    assert!(streamed.starts_with("HTTP/1.1 413 "), "{streamed}");
    assert!(rig.counted("unread", 2));
}

#[tokio::test]
async fn ten_thousand_containers_are_refused_in_one_answer() {
    let rig = Rig::new();
    let answer = rig.post("/pods", &pod(Some("true"), 10_000)).await;
    assert!(answer.contains("10000 containers") && answer.len() < 1024, "{answer}");
}

#[tokio::test]
async fn a_million_values_are_refused_before_one_is_made() {
    let rig = Rig::new();
    for part in ["0,", "{\"\":0},"] {
        let body = format!("[{}0]", part.repeat(MAX_BODY / 2 / part.len()));
        let answer = rig.post("/pods", &body).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("more values"), "{answer}");
    }
    let body = pod(Some("true"), 100_000);
    assert!(body.len() < MAX_BODY, "{}", body.len());
    assert!(rig.post("/pods", &body).await.contains("more values"));
    assert!(rig.counted("invalid", 3));
}

#[tokio::test]
async fn other_paths_methods_types_and_words_are_turned_away() {
    let rig = Rig::new();
    assert!(rig.post("/mutate", "{}").await.starts_with("HTTP/1.1 404 "));
    assert!(rig.send("GET /pods HTTP/1.1", b"").await.starts_with("HTTP/1.1 405 "));
    let text = rig.send("POST /pods HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 2", b"{}").await;
    assert!(text.starts_with("HTTP/1.1 415 "), "{text}");
    for body in ["", "{", "[]", "null", "\u{0}", &"[".repeat(1 << 20)] {
        let answer = rig.post("/pods", body).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.len() < 1024, "{answer}");
    }
    assert!(rig.counted("invalid", 9));
}
