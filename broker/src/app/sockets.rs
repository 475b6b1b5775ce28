//! The listening sockets, and what we call ourselves once we know their ports.
//! Not here: serving them.

use std::path::PathBuf;

use serde::Serialize;
use symbolon_http::server::{Bind, BindError, Bound, BoundAddress};
use symbolon_identity::{IdentityError, IssuerUrl};

use crate::config::ListenConfig;

/// Everybody on this machine may connect to the attestation socket: the kernel says who it is.
const EVERYBODY: u32 = 0o666;
/// The admin socket is for our own user; root gets through anyway.
const OURSELVES: u32 = 0o600;

/// All sockets of the broker.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) public: Bound,
    pub(super) admin: Bound,
    pub(super) attest: Option<Bound>,
    pub(super) admin_api: Option<Bound>,
}

/// Where a running broker listens; the ready file holds this.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// Our issuer URL.
    pub issuer: IssuerUrl,
    /// The public listener.
    pub public: String,
    /// Health and metrics.
    pub admin: String,
    /// The attestation socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The admin socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_socket: Option<PathBuf>,
}

impl Sockets {
    pub(super) fn open(listen: &ListenConfig) -> Result<Self, BindError> {
        let unix = |path: &Option<PathBuf>, mode| {
            path.as_ref().map(|path| Bind::unix(path, mode).listen()).transpose()
        };
        Ok(Self {
            admin: Bind::Tcp(listen.admin).listen()?,
            public: Bind::Tcp(listen.public).listen()?,
            attest: unix(&listen.socket, EVERYBODY)?,
            admin_api: unix(&listen.admin_socket, OURSELVES)?,
        })
    }

    pub(super) fn addresses(&self, issuer: &IssuerUrl) -> Result<Addresses, IdentityError> {
        let unix = |bound: &Option<Bound>| match bound.as_ref().map(Bound::address) {
            Some(BoundAddress::Unix(path)) => Some(path.clone()),
            Some(BoundAddress::Tcp(_)) | None => None,
        };
        Ok(Addresses {
            issuer: settle(issuer, self.public.address())?,
            public: self.public.address().to_string(),
            admin: self.admin.address().to_string(),
            socket: unix(&self.attest),
            admin_socket: unix(&self.admin_api),
        })
    }
}

/// Port 0 in a loopback issuer URL becomes the port that the public listener got.
fn settle(issuer: &IssuerUrl, public: &BoundAddress) -> Result<IssuerUrl, IdentityError> {
    let (Some(address), true) = (public.tcp(), issuer.is_plaintext()) else { return Ok(issuer.clone()) };
    let after_scheme = issuer.as_str().trim_start_matches("http://");
    let (authority, path) = match after_scheme.find('/') {
        Some(slash) => after_scheme.split_at(slash),
        None => (after_scheme, ""),
    };
    match authority.strip_suffix(":0") {
        Some(host) => IssuerUrl::parse(&format!("http://{host}:{}{path}", address.port())),
        None => Ok(issuer.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_0_of_a_loopback_issuer_becomes_the_real_port() {
        let public = BoundAddress::Tcp("127.0.0.1:8700".parse().unwrap());
        for (configured, settled) in [
            ("http://127.0.0.1:0", "http://127.0.0.1:8700"),
            ("http://[::1]:0/a", "http://[::1]:8700/a"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("https://broker.example.com", "https://broker.example.com"),
        ] {
            let issuer = IssuerUrl::parse(configured).unwrap();
            assert_eq!(settle(&issuer, &public).unwrap().as_str(), settled);
        }
    }
}
