//! Why TLS cannot be set up from its files, each with the file and what it should be.
//! Not what goes wrong on a connection.

use std::path::PathBuf;

use rustls::pki_types::pem;
use symbolon_config::protected_file::ProtectedFileError;

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
    /// A file of a listener is not there, or others could have written or read it.
    #[error(transparent)]
    File(#[from] ProtectedFileError),
    /// A file holds no certificate.
    #[error("`{}` holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no private key.
    #[error("`{}` holds no private key: it has to be PEM (PKCS#8, SEC1 or PKCS#1) without a passphrase", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// What a file of a listener holds is of no use.
    #[error("what `{}` holds cannot be used", path.display())]
    UnusableFile {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// The certificate and the key do not belong together.
    #[error(
        "the first certificate in `{}` does not belong to the key in `{}`: the server's own comes first, then those that vouch for it",
        certificates.display(), key.display()
    )]
    Mismatch {
        /// The file with the certificates.
        certificates: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// A text is not PEM, or holds nothing of what it should.
    #[error("the certificates or the key are not PEM")]
    Text(#[source] pem::Error),
    /// A certificate is not valid today, and would take the place of one that is.
    #[error("{certificate} is not valid today: it is from {from} until {until}")]
    OutOfDate {
        /// The certificate, with its file if it has one.
        certificate: String,
        /// The beginning of its validity.
        from: String,
        /// The end of its validity.
        until: String,
    },
    /// rustls does not accept what the files hold.
    #[error("the certificates or the key cannot be used")]
    Unusable(#[source] rustls::Error),
}
