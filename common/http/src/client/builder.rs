//! How a guarded client is made.
//! Not what it does with a URL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::GuardedClient;
use super::egress::AddressPolicy;
use super::resolver::GuardedResolver;
use crate::tls::{self, TlsError};

/// Settings of a [`GuardedClient`], with safe defaults.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    ca_file: Option<PathBuf>,
    unix_socket: Option<PathBuf>,
    timeout: Duration,
    connect_timeout: Duration,
    max_body: usize,
    policy: AddressPolicy,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientSetupError {
    /// The CA file cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client cannot be set up.
    #[error("cannot set up an HTTP client")]
    Client(#[source] reqwest::Error),
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            ca_file: None,
            unix_socket: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            max_body: 256 * 1024,
            policy: AddressPolicy::public(),
        }
    }

    /// Trusts only the certificates in this PEM file, instead of the bundled web roots.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sends every request over this Unix socket. Plaintext is then allowed: the kernel is the wire.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }

    /// From the first byte out to the last byte in. Default 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.connect_timeout = self.connect_timeout.min(timeout);
        self
    }

    /// The most bytes of an answer's body. Default 256 KiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Which addresses may be reached. Default: public ones.
    pub fn addresses(mut self, policy: AddressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// When the CA file cannot be read or holds no usable certificate.
    pub fn build(self) -> Result<GuardedClient, ClientSetupError> {
        let unix_socket = self.unix_socket.is_some();
        let client = self.reqwest()?;
        Ok(GuardedClient { client, policy: self.policy, max_body: self.max_body, unix_socket })
    }

    #[expect(clippy::disallowed_methods, reason = "this is the guarded client that all others must use")]
    fn reqwest(&self) -> Result<reqwest::Client, ClientSetupError> {
        let tls = tls::client_config(self.ca_file.as_deref())?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
            .pool_max_idle_per_host(4)
            .user_agent(concat!("symbolon/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(GuardedResolver::new(self.policy.clone())));
        if let Some(path) = &self.unix_socket {
            builder = builder.unix_socket(path.clone());
        }
        builder.build().map_err(ClientSetupError::Client)
    }
}
