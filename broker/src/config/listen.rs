//! The section `listen`.
//! Not here: opening the sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_http::tls::ServerTlsConfig;

/// Where the broker listens; port 0 means any free one, told by the ready file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// Discovery, keys and tokens.
    pub public: SocketAddr,
    /// With a certificate the public listener speaks TLS and nothing else. Absent: plain HTTP.
    pub tls: Option<ServerTlsConfig>,
    /// Health and metrics, nothing else.
    pub admin: SocketAddr,
    /// The Unix socket of the admin API, for our own user and root.
    pub admin_socket: Option<PathBuf>,
    /// The Unix socket on which the kernel names the caller: everybody on this machine may connect.
    pub socket: Option<PathBuf>,
    /// TLS terminators before the public listener, such as `10.0.0.0/24`: for a peer in these networks the source
    /// address is the last one in `forwarded_header` that is not in them. If it says none, or nothing that can be
    /// read, there is no source address: policies that ask for one do not apply. Other peers cannot name a source.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they name it.
    pub forwarded_header: ForwardedHeader,
}

/// A header in which a proxy names its client. One of them, as the proxy writes it: a proxy that writes one passes on
/// what its clients write in the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            public: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8700),
            tls: None,
            admin: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8701),
            admin_socket: None,
            socket: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
        }
    }
}
