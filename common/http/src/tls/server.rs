//! The certificate and key of a listener, which can be replaced while it serves.
//! Not when they are replaced (`follow.rs`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use super::pair::{Pair, Validity};
use super::{TlsError, provider};

/// A certificate and its key. While a program serves it looks at both files again when their folder changes, and takes a
/// new pair for new connections.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTlsConfig {
    /// PEM file with the server's certificate, followed by those that vouch for it.
    pub certificate_file: PathBuf,
    /// PEM file with its private key. It has mode 0600, or belongs to root and has mode 0640.
    pub key_file: PathBuf,
}

/// A listener's certificate and key. Clones are the same one: what one reloads, all have.
#[derive(Clone)]
pub struct ServerTls {
    shared: Arc<Shared>,
}

struct Shared {
    /// None if the program replaces the pair itself.
    files: Option<ServerTlsConfig>,
    current: ArcSwap<Current>,
    /// Tells listeners that another pair is in force.
    replaced: watch::Sender<()>,
}

/// What is in force. All of it is exchanged at once, with the memory of sessions too: nobody resumes a session that began
/// under the certificate before.
struct Current {
    config: Arc<ServerConfig>,
    pair: Pair,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServerTls").field("files", &self.shared.files).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads a certificate chain and its key, both PEM.
    ///
    /// # Errors
    /// When a file is missing or not PEM, when somebody else could have written one or read the key, or when the key
    /// does not belong to the first certificate.
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::of(&ServerTlsConfig { certificate_file: certificates.to_owned(), key_file: key.to_owned() })
    }

    /// The same from a configuration.
    ///
    /// # Errors
    /// As [`ServerTls::load`].
    pub fn of(files: &ServerTlsConfig) -> Result<Self, TlsError> {
        Self::new(Pair::read(files)?, Some(files.clone()))
    }

    /// Takes a certificate chain and its key, both PEM, which the program keeps fresh by [`ServerTls::replace_pem`].
    ///
    /// # Errors
    /// When one is not PEM, or when the key does not belong to the first certificate.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(Pair::parse(certificates, key)?, None)
    }

    fn new(pair: Pair, files: Option<ServerTlsConfig>) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(Current::new(pair)?);
        Ok(Self { shared: Arc::new(Shared { files, current, replaced: watch::Sender::new(()) }) })
    }

    /// Gives new connections this pair. Returns whether that is another certificate.
    ///
    /// # Errors
    /// As [`ServerTls::from_pem`], and when a certificate that is valid today would make room for one that is not. The
    /// last good pair then stays in force.
    pub fn replace_pem(&self, certificates: &[u8], key: &[u8]) -> Result<bool, TlsError> {
        self.replace(Pair::parse(certificates, key)?)
    }

    /// Reads the files again; new connections get what they hold. Returns whether that is another certificate. Blocks for
    /// as long as the file system takes.
    ///
    /// # Errors
    /// As [`ServerTls::load`], and when a certificate that is valid today would make room for one that is not. The last
    /// good pair then stays in force.
    pub fn reload(&self) -> Result<bool, TlsError> {
        match &self.shared.files {
            Some(files) => self.replace(Pair::read(files)?),
            None => Ok(false),
        }
    }

    fn replace(&self, pair: Pair) -> Result<bool, TlsError> {
        let before = self.shared.current.load();
        if before.pair.certified.cert == pair.certified.cert {
            return Ok(false);
        }
        if before.pair.validity.is_now() && !pair.validity.is_now() {
            return Err(self.out_of_date(pair.validity));
        }
        self.shared.current.store(Arc::new(Current::new(pair)?));
        self.shared.replaced.send_replace(());
        Ok(true)
    }

    /// The end of the certificate's validity, in seconds since the epoch.
    #[must_use]
    pub fn expiry(&self) -> i64 {
        self.shared.current.load().pair.validity.until.timestamp()
    }

    /// What deserves a look although it can be served: a certificate that is not valid today.
    #[must_use]
    pub fn warning(&self) -> Option<TlsError> {
        let validity = self.shared.current.load().pair.validity;
        (!validity.is_now()).then(|| self.out_of_date(validity))
    }

    /// Its files, if it has any.
    pub(super) fn files(&self) -> Option<&ServerTlsConfig> {
        self.shared.files.as_ref()
    }

    /// Tells each time when another pair has come into force.
    pub(super) fn replacements(&self) -> watch::Receiver<()> {
        self.shared.replaced.subscribe()
    }

    /// What the next connection is accepted with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.shared.current.load().config)
    }

    fn out_of_date(&self, validity: Validity) -> TlsError {
        TlsError::OutOfDate {
            certificate: match self.files() {
                Some(files) => format!("the certificate in `{}`", files.certificate_file.display()),
                None => "the certificate".to_owned(),
            },
            from: validity.from.to_string(),
            until: validity.until.to_string(),
        }
    }
}

impl Current {
    fn new(pair: Pair) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&pair.certified))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), pair })
    }
}

#[cfg(test)]
mod tests;
