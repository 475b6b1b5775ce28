//! A listener for callers on this machine, checked: a Unix socket with its users, or loopback by opt-in.
//! Whether the address is free shows when it is bound.

use std::net::SocketAddr;
use std::path::PathBuf;

use symbolon_config::{ConfigError, Loaded};
use symbolon_http::server::Bind;

use crate::config::{Config, LocalListen};

/// Where local callers connect, and who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// A Unix socket; the kernel says which user is at the other end.
    Unix {
        path: PathBuf,
        /// Who may connect; empty means only our own user.
        uids: Vec<u32>,
    },
    /// A loopback address: nobody says who is at the other end.
    Tcp(SocketAddr),
}

impl Door {
    pub(super) fn new(
        loaded: &Loaded<Config>,
        at: &str,
        listen: &LocalListen,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Self> {
        match Self::read(listen) {
            Ok(door) => Some(door),
            Err((key, message)) => {
                let path = if key.is_empty() { at.to_owned() } else { format!("{at}.{key}") };
                errors.push(loaded.contradiction(&path, message));
                None
            }
        }
    }

    fn read(listen: &LocalListen) -> Result<Self, (&'static str, &'static str)> {
        match (&listen.unix, listen.tcp) {
            (Some(_), Some(_)) => Err(("tcp", "either `unix` or `tcp`, not both")),
            (None, None) => Err(("", "needs `unix` or `tcp`")),
            (Some(_), None) if listen.allow_any_local_process => {
                Err(("allow_any_local_process", "it is for `tcp`; `unix` has `uids`"))
            }
            (Some(path), None) => Ok(Self::Unix { path: path.clone(), uids: listen.uids.clone() }),
            (None, Some(_)) if !listen.uids.is_empty() => {
                Err(("uids", "only a Unix socket tells users apart: use `unix`"))
            }
            (None, Some(address)) if !address.ip().is_loopback() => {
                Err(("tcp", "only a loopback address: whoever reaches it speaks as this workload"))
            }
            (None, Some(_)) if !listen.allow_any_local_process => Err((
                "tcp",
                "every local process could speak as this workload: use `unix`, or say `allow_any_local_process: true`",
            )),
            (None, Some(address)) => Ok(Self::Tcp(address)),
        }
    }

    /// The users who may connect to a Unix socket: those listed, else our own.
    pub(crate) fn users(&self) -> Vec<u32> {
        match self {
            Self::Unix { uids, .. } if !uids.is_empty() => uids.clone(),
            _ => vec![rustix::process::geteuid().as_raw()],
        }
    }

    /// The address to bind. Others may open a socket only if they are listed; who they are is then checked
    /// on each request.
    pub(crate) fn bind(&self) -> Bind {
        match self {
            Self::Unix { path, .. } => {
                let private = self.users() == [rustix::process::geteuid().as_raw()];
                Bind::unix(path.clone(), if private { 0o600 } else { 0o666 })
            }
            Self::Tcp(address) => Bind::Tcp(*address),
        }
    }

    /// Whether the two would be bound to the same address.
    pub(super) fn is_same_address(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix { path, .. }, Self::Unix { path: other, .. }) => path == other,
            (Self::Tcp(address), Self::Tcp(other)) => address == other && address.port() != 0,
            _ => false,
        }
    }
}
