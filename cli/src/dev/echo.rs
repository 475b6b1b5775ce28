//! The small API behind the gateway of `symbolon dev`: it answers with what reached it.
//! Not here: any check; that it needs none is the point.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use axum::extract::{Request, State};
use axum::{Json, Router};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use symbolon_daemon::Lifecycle;
use tokio::net::TcpListener;

/// The running API.
#[derive(Debug, Clone)]
pub(crate) struct Echo {
    requests: Arc<AtomicU64>,
}

impl Echo {
    /// Starts it on an address.
    pub(crate) async fn start(address: SocketAddr, lifecycle: &Lifecycle) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("the API cannot listen on {address}"))?;
        let echo = Self { requests: Arc::default() };
        let router = Router::new().fallback(answer).with_state(echo.clone());
        // In the background: it has no work of its own that a drain should wait for.
        lifecycle.spawn_background("echo", async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(event.name = "echo.failed", %error, "the echo API ended");
            }
        });
        Ok(echo)
    }

    /// How many requests have reached it.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn answer(State(echo): State<Echo>, request: Request) -> Json<Value> {
    let nth = echo.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    Json(json!({
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map_or("", |path| path.as_str()),
        "headers": headers(request.headers()),
        "request_number": nth,
    }))
}

/// Each header once; a text if it came once, a list if it came several times.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let shown = headers.keys().map(|name| {
        let mut values: Vec<Value> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into())
            .collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        (name.as_str().to_owned(), value)
    });
    shown.collect()
}
