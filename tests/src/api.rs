//! The API behind a gateway under test: it answers with the headers it saw, and counts.
//! Not here: any check.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Some pages of JSON, each at its path; they end with this.
#[derive(Debug)]
pub struct Pages {
    _tasks: JoinSet<()>,
}

impl Pages {
    /// Serves them.
    #[must_use]
    pub fn serve(listener: TcpListener, pages: BTreeMap<String, Value>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, move |request: &http::Request<Incoming>| {
            let Some(page) = pages.get(request.uri().path()) else {
                return http::Response::builder().status(404).body(Full::default()).ok();
            };
            let answer = http::Response::builder().header("content-type", "application/json");
            answer.body(Full::from(page.to_string())).ok()
        }));
        Self { _tasks: tasks }
    }
}

/// A running API; it ends with this.
#[derive(Debug)]
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Api {
    /// Starts it.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, move |request: &http::Request<Incoming>| {
            counted.fetch_add(1, Ordering::SeqCst);
            Some(http::Response::new(Full::from(seen(request).to_string())))
        }));
        Self { address, requests, _tasks: tasks }
    }

    /// How many requests have reached it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

fn seen(request: &http::Request<Incoming>) -> Value {
    let mut headers = Map::new();
    for (name, value) in request.headers() {
        let value = Value::from(String::from_utf8_lossy(value.as_bytes()));
        if let Some(Value::Array(values)) = headers.get_mut(name.as_str()) {
            values.push(value);
        } else {
            headers.insert(name.as_str().to_owned(), Value::Array(vec![value]));
        }
    }
    json!({"method": request.method().as_str(), "path": request.uri().to_string(), "headers": headers})
}

/// Serves a listener until it is dropped; an `answer` of `None` closes the connection without one.
pub(crate) async fn serve<F>(listener: TcpListener, answer: F)
where
    F: Fn(&http::Request<Incoming>) -> Option<http::Response<Full<Bytes>>> + Clone + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answered = answer(&request);
            async move { answered.ok_or_else(|| std::io::Error::other("closed by the test")) }
        });
        connections.spawn(async move {
            // A broken connection is part of some tests.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
