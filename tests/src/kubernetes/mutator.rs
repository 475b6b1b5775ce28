//! Somebody else's admission webhook, which notes on every pod that it saw it.
//! Not here: anything that ours does; it is there so that an API server has a reason to ask ours again.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Authority;

/// A running webhook; it ends with this.
#[derive(Debug)]
pub struct Mutator {
    /// Where it listens, by TLS.
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Mutator {
    /// Starts it with a certificate of this authority.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(authority: &Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(authority.pair().server()));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(acceptor.clone(), stream));
            }
        });
        Self { address, _tasks: tasks }
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) {
    // An API server that gives up is part of some tests.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(async |request: http::Request<Incoming>| {
        let body = request.into_body().collect().await?.to_bytes();
        let review: Value = serde_json::from_slice(&body).unwrap();
        let answer = noted(&review).to_string();
        let answer =
            http::Response::builder().header("content-type", "application/json").body(Full::from(answer));
        Ok::<http::Response<Full<Bytes>>, hyper::Error>(answer.unwrap())
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The answer that adds the label `mutator.test/seen`.
fn noted(review: &Value) -> Value {
    let has_labels = review["request"]["object"]["metadata"]["labels"].is_object();
    let label = json!({"op": "add", "path": "/metadata/labels/mutator.test~1seen", "value": "yes"});
    let none = json!({"op": "add", "path": "/metadata/labels", "value": {}});
    let patch: Vec<Value> = (!has_labels).then_some(none).into_iter().chain([label]).collect();
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
        "uid": review["request"]["uid"], "allowed": true,
        "patchType": "JSONPatch", "patch": STANDARD.encode(json!(patch).to_string()),
    }})
}
