//! Connections to upstreams: TCP, TLS where asked for, in limited time.
//! Not the pool, which is hyper's.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use tower::Service;

/// What a connector makes.
type Connection = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;

/// A connector that gives up after a while, TLS included.
#[derive(Debug, Clone)]
pub(super) struct TimedConnector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// It took too long.
    #[error("no connection in time")]
    TimedOut,
    /// It failed: the source says whether in DNS, TCP or TLS.
    #[error("no connection")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A connector with the roots of `tls`, which asks for one protocol. The TLS name is the upstream's host, nothing else.
pub(super) fn connector(tls: ClientConfig, limit: Duration, http2: bool) -> TimedConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_mins(1)));
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let inner = if http2 {
        builder.enable_http2().wrap_connector(tcp)
    } else {
        builder.enable_http1().wrap_connector(tcp)
    };
    TimedConnector { inner, limit }
}

impl Service<Uri> for TimedConnector {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.inner.poll_ready(cx).map_err(ConnectError::Failed)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.limit, self.inner.call(uri));
        Box::pin(async move {
            match connecting.await {
                Ok(connected) => connected.map_err(ConnectError::Failed),
                Err(_elapsed) => Err(ConnectError::TimedOut),
            }
        })
    }
}
