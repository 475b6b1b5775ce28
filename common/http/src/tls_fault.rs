//! What went wrong in a TLS handshake, as far as it tells an operator what to do.
//! Not here: the handshake.

use std::error::Error;

use rustls::CertificateError;

use crate::client::cause;

/// Why a peer was not believed to be who it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// No certificate authority that we trust has signed its certificate.
    UnknownIssuer,
    /// Its certificate has expired, or our clock is fast.
    Expired,
    /// Its certificate is not valid yet, or our clock is slow.
    NotYetValid,
    /// Its certificate is for other names.
    OtherName,
    /// It does not speak TLS.
    NotTls,
    /// Anything else.
    Other,
}

impl TlsFault {
    /// Finds the fault among the causes of an error.
    pub(crate) fn among(error: &(dyn Error + 'static)) -> Option<Self> {
        Some(match cause::<rustls::Error>(error)? {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                // A bad signature is what an authority makes that was made anew under its old name.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::OtherName
                }
                _ => Self::Other,
            },
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Other,
        })
    }
}
