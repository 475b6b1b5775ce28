//! An authority of the test, its certificates, files in which programs find them, and clients that trust it.
//! Not here: anything that the programs use themselves.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate for this machine and its key, both PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    der: CertificateDer<'static>,
}

/// An authority with a file that holds its certificate.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// A server that shows it, by HTTP/1.1.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn server(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = config.unwrap().with_no_client_auth();
        config.with_single_cert(vec![self.der.clone()], key).unwrap()
    }
}

impl Authority {
    /// An authority that nobody else knows.
    ///
    /// # Panics
    /// If its file cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// The file for those that shall trust it.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for `localhost` and `127.0.0.1` with a fresh key.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn pair(&self) -> Pair {
        self.pair_until(2100)
    }

    /// The same, valid until this year begins.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn pair_until(&self, year: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// A client that trusts this authority only and offers these protocols.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn client(&self, protocols: &[&str]) -> TlsClient {
        TlsClient::trusting(self.issuer.pem().as_bytes(), protocols)
    }
}

/// Connects by TLS.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

impl TlsClient {
    /// A client that trusts these authorities (PEM) only and offers these protocols.
    ///
    /// # Panics
    /// If there is none in it.
    #[must_use]
    pub fn trusting(authorities: &[u8], protocols: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self { connector: TlsConnector::from(Arc::new(config)) }
    }

    /// Connects.
    ///
    /// # Errors
    /// A sentence, if nobody listens there or shakes hands.
    pub async fn connect(&self, address: SocketAddr) -> Result<TlsStream<TcpStream>, String> {
        let failed = |error: std::io::Error| format!("{address}: {error}");
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let name = ServerName::IpAddress(address.ip().into());
        self.connector.connect(name, stream).await.map_err(failed)
    }
}

/// Whether the other end showed the certificate of this pair; one that resumes a session shows none anew.
#[must_use]
pub fn shows(stream: &TlsStream<TcpStream>, pair: &Pair) -> bool {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    shown.is_some_and(|shown| *shown == pair.der)
}

/// A folder with `tls.crt` and `tls.key`, written and exchanged as the kubelet does it.
#[derive(Debug)]
pub struct Volume {
    folder: TempDir,
    generation: u32,
}

impl Volume {
    /// A volume with this pair.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn new(pair: &Pair) -> Self {
        let mut volume = Self { folder: tempfile::tempdir().unwrap(), generation: 0 };
        volume.publish(&pair.certificate, &pair.key);
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), volume.path().join(name)).unwrap();
        }
        volume
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The section `tls` of a configuration.
    #[must_use]
    pub fn section(&self) -> String {
        let folder = self.path().display();
        format!("{{ certificate_file: {folder}/tls.crt, key_file: {folder}/tls.key }}")
    }

    /// Exchanges both files at once.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn publish(&mut self, certificate: &str, key: &str) {
        self.generation += 1;
        let (before, stamp) = (format!("..{}", self.generation - 1), format!("..{}", self.generation));
        let folder = self.path().join(&stamp);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("tls.crt"), certificate).unwrap();
        fs::write(folder.join("tls.key"), key).unwrap();
        fs::set_permissions(folder.join("tls.key"), Permissions::from_mode(0o400)).unwrap();
        symlink(&stamp, self.path().join("..data_tmp")).unwrap();
        fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
        let _ = fs::remove_dir_all(self.path().join(before));
    }
}
