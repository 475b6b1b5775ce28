//! A small JSON client of an API server, which says who it is on each call.
//! Not here: which objects there are (`objects.rs`); watches.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::http::{Answer, Call, Connection, Place};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Somebody who may call an API server. Every call has a connection of its own, so tests on other runtimes can share it.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    token: String,
    /// User and group that the owner of the token acts as.
    acts_as: Option<(String, String)>,
}

impl Api {
    /// The holder of a token.
    ///
    /// # Panics
    /// If the file holds no certificate.
    #[must_use]
    pub fn new(address: SocketAddr, ca_file: &Path, token: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let tls = tls.with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        Self { address, tls: Arc::new(tls), token: token.to_owned(), acts_as: None }
    }

    /// The holder of another token; nobody if it is empty.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), acts_as: None, ..self.clone() }
    }

    /// The kubelet of a node, as the Node authorizer and `NodeRestriction` know it.
    #[must_use]
    pub fn acting_as_node(&self, node: &str) -> Self {
        let acts_as = Some((format!("system:node:{node}"), "system:nodes".to_owned()));
        Self { acts_as, ..self.clone() }
    }

    /// The object at a path.
    ///
    /// # Panics
    /// If it is not given.
    pub async fn get(&self, path: &str) -> Value {
        self.expect(Call::get(path)).await
    }

    /// The object at a path, if there is one.
    ///
    /// # Panics
    /// If there is another answer than yes and no.
    pub async fn find(&self, path: &str) -> Option<Value> {
        let answer = self.call(Call::get(path)).await.unwrap();
        if answer.status == 404 { None } else { Some(succeeded(&answer, path)) }
    }

    /// Creates an object in a collection and returns it as it was stored.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn create(&self, path: &str, object: &Value) -> Value {
        self.expect(Call::json(path, object)).await
    }

    /// Creates an object unless there is one of that name.
    ///
    /// # Panics
    /// If it is refused for any other reason.
    pub async fn ensure(&self, path: &str, object: &Value) {
        let answer = self.call(Call::json(path, object)).await.unwrap();
        if answer.status != 409 {
            succeeded(&answer, path);
        }
    }

    /// Changes an object by a merge patch (RFC 7396) and returns it.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn patch(&self, path: &str, changes: &Value) -> Value {
        let call = Call::post(path, "application/merge-patch+json", &changes.to_string());
        self.expect(call.method(Method::PATCH)).await
    }

    /// Deletes an object at once, without the grace that a pod otherwise has.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn delete(&self, path: &str) -> Value {
        self.expect(Call::get(&format!("{path}?gracePeriodSeconds=0")).method(Method::DELETE)).await
    }

    /// Makes a call, whatever comes of it.
    ///
    /// # Errors
    /// A sentence, if there is no answer.
    ///
    /// # Panics
    /// If there is a name that cannot stand in a header.
    pub async fn call(&self, call: Call) -> Result<Answer, String> {
        let exchange = async {
            let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let name = ServerName::IpAddress(self.address.ip().into());
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
            let place = Place::Tcp(self.address);
            Connection::over(stream, &place, self.address.to_string()).await?.send(self.signed(call)).await
        };
        tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| "no answer in time".to_owned())?
    }

    fn signed(&self, call: Call) -> Call {
        let call = if self.token.is_empty() { call } else { call.bearer(&self.token) };
        match &self.acts_as {
            Some((user, group)) => call.header("impersonate-user", user).header("impersonate-group", group),
            None => call,
        }
    }

    async fn expect(&self, call: Call) -> Value {
        let shown = format!("{call:?}");
        let answer = self.call(call).await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        succeeded(&answer, &shown)
    }
}

fn succeeded(answer: &Answer, what: &str) -> Value {
    assert!(answer.status < 300, "{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    answer.json()
}
