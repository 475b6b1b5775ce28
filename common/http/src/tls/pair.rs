//! A certificate chain and its key as they are in files or texts: read, matched, and with their dates.
//! Not which pair is in force.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys};
use secrecy::ExposeSecret;
use symbolon_config::protected_file::{self, Rules};
use symbolon_daemon::{Clock, SystemClock};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::server::ServerTlsConfig;
use super::{TlsError, provider};

const MAX_CERTIFICATES: usize = 256 * 1024;
const MAX_KEY: usize = 64 * 1024;

/// A chain whose first certificate belongs to the key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) validity: Validity,
}

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    pub(super) from: ASN1Time,
    pub(super) until: ASN1Time,
}

impl Validity {
    /// Whether the clock of this machine is within it, as those of most peers will be.
    pub(super) fn is_now(self) -> bool {
        let now = i64::try_from(SystemClock.unix_seconds()).unwrap_or(i64::MAX);
        self.from.timestamp() <= now && now <= self.until.timestamp()
    }
}

/// What is wrong with a chain and a key that were read.
enum Flaw {
    Certificate(Error),
    Key(Error),
    Mismatch,
}

impl Pair {
    /// Reads both files.
    pub(super) fn read(files: &ServerTlsConfig) -> Result<Self, TlsError> {
        let ServerTlsConfig { certificate_file, key_file } = files;
        Self::of(certificates(certificate_file)?, key(key_file)?).map_err(|flaw| match flaw {
            Flaw::Certificate(source) => TlsError::UnusableFile { path: certificate_file.clone(), source },
            Flaw::Key(source) => TlsError::UnusableFile { path: key_file.clone(), source },
            Flaw::Mismatch => {
                TlsError::Mismatch { certificates: certificate_file.clone(), key: key_file.clone() }
            }
        })
    }

    /// Reads both texts.
    pub(super) fn parse(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = chain(certificates).map_err(TlsError::Text)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Text)?;
        Self::of(chain, key).map_err(|flaw| match flaw {
            Flaw::Certificate(source) | Flaw::Key(source) => TlsError::Unusable(source),
            Flaw::Mismatch => TlsError::Unusable(InconsistentKeys::KeyMismatch.into()),
        })
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, Flaw> {
        let validity = chain.first().and_then(validity);
        let validity = validity.ok_or(Flaw::Certificate(CertificateError::BadEncoding.into()))?;
        let key = provider().key_provider.load_private_key(key).map_err(Flaw::Key)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Self { certified: Arc::new(certified), validity }),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Flaw::Mismatch),
            Err(error) => Err(Flaw::Certificate(error)),
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = protected_file::read(path, Rules::integrity(MAX_CERTIFICATES))?.text;
    chain(text.expose_secret().as_bytes()).map_err(|source| match source {
        pem::Error::NoItemsFound => TlsError::NoCertificate { path: path.to_owned() },
        source => TlsError::Pem { path: path.to_owned(), source },
    })
}

/// One certificate or more.
fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let chain = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = protected_file::read(path, Rules::private_to_group(MAX_KEY))?.text;
    PrivateKeyDer::from_pem_slice(text.expose_secret().as_bytes()).map_err(|source| match source {
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        source => TlsError::Pem { path: path.to_owned(), source },
    })
}

fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some(Validity { from: validity.not_before, until: validity.not_after })
}
