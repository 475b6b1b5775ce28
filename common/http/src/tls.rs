//! TLS settings from files: whom we trust, who we are.
//! Not sockets; and always rustls on aws-lc-rs, whatever the process has installed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why TLS could not be set up from its files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("cannot read `{}` as PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: pem::Error,
    },
    /// A file holds no certificate.
    #[error("`{}` holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A text is not PEM.
    #[error("the certificates or the key are not PEM")]
    Text(#[source] pem::Error),
    /// rustls does not accept what the files hold.
    #[error("the certificates or the key cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// A server's certificate and key, ready to accept connections. Clones share them, and a replacement reaches all.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
}

/// The certificate that new connections are shown.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads a certificate chain and its key, both PEM.
    ///
    /// # Errors
    /// When a file is missing or not PEM, or when the key does not belong to the certificate.
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::showing(read_pair(certificates, key)?)
    }

    /// Takes a certificate chain and its key from texts, both PEM.
    ///
    /// # Errors
    /// When one is not PEM, or when the key does not belong to the certificate.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::showing(parse_pair(certificates, key)?)
    }

    /// Shows another certificate to the connections that come from now on.
    ///
    /// # Errors
    /// As [`ServerTls::from_pem`]; the old one is then kept.
    pub fn replace_pem(&self, certificates: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.replace(parse_pair(certificates, key)?);
        Ok(())
    }

    /// As [`ServerTls::replace_pem`], from files.
    ///
    /// # Errors
    /// As [`ServerTls::load`]; the old one is then kept.
    pub fn reload(&self, certificates: &Path, key: &Path) -> Result<(), TlsError> {
        self.replace(read_pair(certificates, key)?);
        Ok(())
    }

    fn replace(&self, pair: CertifiedKey) {
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }

    fn showing(pair: CertifiedKey) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(Arc::new(pair))));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), shown })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn read_pair(certificates: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain = read_certificates(certificates)?;
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Pem { path: key.to_owned(), source })?;
    pair(chain, key)
}

fn parse_pair(certificates: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Text)?;
    pair(chain.map_err(TlsError::Text)?, key)
}

/// Checks that the key belongs to the first certificate.
fn pair(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, TlsError> {
    CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Unusable)
}

/// What a client of ours trusts: only the certificates in `ca_file`, or the bundled web roots without one.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in read_certificates(path)? {
                roots.add(certificate).map_err(TlsError::Unusable)?;
            }
        }
    }
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::Pem { path: path.to_owned(), source };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_roots_make_a_client() {
        client_config(None).unwrap();
    }

    #[test]
    fn a_file_without_certificates_trusts_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "nothing here\n").unwrap();
        assert!(matches!(client_config(Some(&path)), Err(TlsError::NoCertificate { .. })));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = client_config(Some(Path::new("/nonexistent/ca.pem"))).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/nonexistent/ca.pem` as PEM");
    }
}
