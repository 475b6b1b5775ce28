//! The section `listen`.
//! Not here: opening the sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Where the broker listens; port 0 means any free one, told by the ready file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// Discovery, keys and tokens.
    pub public: SocketAddr,
    /// Health and metrics, nothing else.
    pub admin: SocketAddr,
    /// The Unix socket of the admin API, for our own user and root.
    pub admin_socket: Option<PathBuf>,
    /// The Unix socket on which the kernel names the caller: everybody on this machine may connect.
    pub socket: Option<PathBuf>,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            public: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8700),
            admin: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8701),
            admin_socket: None,
            socket: None,
        }
    }
}
