//! Connecting to an upstream as a request would, and sending nothing: for an operator who asks whether it could be reached.
//! Whether the upstream answers requests is not found out.

use std::error::Error;

use tower::ServiceExt as _;

use super::connector::{ConnectError, connector};
use super::{ForwardOptions, Upstream};
use crate::tls::{self, TlsError};
use crate::tls_fault::TlsFault;

/// Why an upstream could not be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The CA file cannot be used.
    #[error(transparent)]
    Setup(#[from] TlsError),
    /// It took too long.
    #[error("no connection in time")]
    TimedOut,
    /// The peer is not who it should be, or speaks no TLS.
    #[error("the TLS handshake failed")]
    Tls {
        /// What is wrong with it.
        fault: TlsFault,
        /// What exactly.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The name is not known, or nobody listens.
    #[error("no connection")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
}

/// Connects to an upstream, TLS included, and closes the connection again.
///
/// # Errors
/// [`ProbeError`] says how far it came.
pub async fn probe(upstream: &Upstream, options: &ForwardOptions) -> Result<(), ProbeError> {
    let tls = tls::client_config(options.ca_file.as_deref())?;
    let connector = connector(tls, options.connect_timeout, options.http2);
    let uri = upstream.uri(None).map_err(|error| ProbeError::Connect(error.into()))?;
    match connector.oneshot(uri).await {
        Ok(_connection) => Ok(()),
        Err(ConnectError::TimedOut) => Err(ProbeError::TimedOut),
        Err(ConnectError::Failed(source)) => Err(match TlsFault::among(&*source) {
            Some(fault) => ProbeError::Tls { fault, source },
            None => ProbeError::Connect(source),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    async fn probed(url: &str) -> Result<(), ProbeError> {
        let options =
            ForwardOptions { connect_timeout: Duration::from_millis(300), ..ForwardOptions::default() };
        probe(&url.parse().unwrap(), &options).await
    }

    #[tokio::test]
    async fn who_listens_is_reached_and_who_does_not_is_not() {
        let (listener, port) = listener().await;
        probed(&format!("http://127.0.0.1:{port}")).await.unwrap();
        drop(listener);
        let error = probed(&format!("http://127.0.0.1:{port}")).await.unwrap_err();
        assert!(matches!(error, ProbeError::Connect(_)), "{error:?}");
    }

    #[tokio::test]
    async fn who_listens_and_says_nothing_is_not_waited_for() {
        let (_listener, port) = listener().await;
        let error = probed(&format!("https://127.0.0.1:{port}")).await.unwrap_err();
        assert!(matches!(error, ProbeError::TimedOut), "{error:?}");
    }

    #[tokio::test]
    async fn who_speaks_no_tls_is_told_apart() {
        let (listener, port) = listener().await;
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            stream
        };
        let url = format!("https://127.0.0.1:{port}");
        let (error, _stream) = tokio::join!(probed(&url), answer);
        assert!(matches!(error, Err(ProbeError::Tls { fault: TlsFault::NotTls, .. })), "{error:?}");
    }
}
