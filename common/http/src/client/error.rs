//! Why a call failed.
//! None of these holds a URL's path or query: those may be secret.

use std::error::Error;
use std::io;

use super::resolver::NoPermittedAddress;
use crate::tls_fault::TlsFault;

/// Why a call of ours got no answer that we can use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL names a user or a password.
    #[error("the URL carries user information")]
    UserInformation,
    /// The URL is neither `https` nor `http`.
    #[error("the scheme `{scheme}` is not supported")]
    UnsupportedScheme {
        /// The scheme.
        scheme: String,
    },
    /// The URL is `http` and not on this machine.
    #[error("plain http is allowed to loopback only")]
    Plaintext,
    /// The policy allows no address of this host.
    #[error("the address of `{host}` may not be reached")]
    AddressRefused {
        /// The host.
        host: String,
    },
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut(#[source] reqwest::Error),
    /// The peer is not who it should be, or speaks no TLS.
    #[error("the TLS handshake failed")]
    Tls(#[source] reqwest::Error),
    /// No connection could be made.
    #[error("cannot connect")]
    Connect(#[source] reqwest::Error),
    /// The answer is larger than we take.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The most we take.
        limit: usize,
    },
    /// The exchange broke off, or what came is not HTTP.
    #[error("the exchange broke off")]
    Broken(#[source] reqwest::Error),
}

impl ClientError {
    /// Whether our configuration is to blame, rather than the network or the peer.
    #[must_use]
    pub const fn is_our_fault(&self) -> bool {
        match self {
            Self::UserInformation
            | Self::UnsupportedScheme { .. }
            | Self::Plaintext
            | Self::AddressRefused { .. } => true,
            Self::TimedOut(_) | Self::Tls(_) | Self::Connect(_) | Self::TooLarge { .. } | Self::Broken(_) => {
                false
            }
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::Connect(_) | Self::Broken(_))
    }

    /// What went wrong in the TLS handshake, if that is what failed.
    #[must_use]
    pub fn tls_fault(&self) -> Option<TlsFault> {
        match self {
            Self::Tls(error) => TlsFault::among(error),
            _ => None,
        }
    }

    /// Finds out what happened.
    pub(super) fn classify(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if let Some(refused) = cause::<NoPermittedAddress>(&error) {
            return Self::AddressRefused { host: refused.name.clone() };
        }
        if error.is_timeout() {
            return Self::TimedOut(error);
        }
        if cause::<rustls::Error>(&error).is_some() {
            return Self::Tls(error);
        }
        if error.is_connect() { Self::Connect(error) } else { Self::Broken(error) }
    }
}

/// The first cause of `error` that is a `T`. I/O errors are opened: TLS errors travel inside them.
pub(crate) fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inside = error.downcast_ref::<io::Error>().and_then(|io| io.get_ref());
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}
