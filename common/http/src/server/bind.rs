//! Where a listener listens: the words for it, and the socket.
//! Not what is served there.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};

use super::unix::{self, UnixSocket};

/// Connections that may wait in the kernel for us to accept them.
const BACKLOG: u32 = 1024;

/// The default mode of a Unix socket: only our own user.
const PRIVATE: u32 = 0o600;

/// An address to listen on: `HOST:PORT` with a literal address, `unix:/path`, `unix:/path?mode=0660`, or a
/// bare absolute path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Bind {
    /// A TCP address; port 0 is any free port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// Its absolute path.
        path: PathBuf,
        /// Its mode, which decides who may connect.
        mode: u32,
    },
}

/// Why a text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither `ADDRESS:PORT` nor `unix:/absolute/path[?mode=0660]`")]
pub struct BindSyntaxError {
    text: String,
}

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The operating system refused.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Where.
        address: Bind,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Another process listens on this Unix socket.
    #[error("another process listens on `{}`", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is in the way.
    #[error("`{}` exists and is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
}

impl Bind {
    /// A Unix socket at `path` with `mode`.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>, mode: u32) -> Self {
        Self::Unix { path: path.into(), mode }
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix { .. } => true,
        }
    }

    /// Binds and listens, from within a tokio runtime.
    ///
    /// A socket file that nobody listens on any more is removed first.
    ///
    /// # Errors
    /// When the address is taken or not ours to take.
    pub fn listen(&self) -> Result<Bound, BindError> {
        let failed = |source| BindError::Listen { address: self.clone(), source };
        match self {
            Self::Tcp(address) => {
                let listener = listen_tcp(*address).map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Ok(Bound { listener: Listener::Tcp(listener), address: BoundAddress::Tcp(address) })
            }
            Self::Unix { path, mode } => {
                let socket = unix::listen(path, *mode).map_err(|error| match error {
                    unix::UnixError::InUse => BindError::InUse { path: path.clone() },
                    unix::UnixError::NotASocket => BindError::NotASocket { path: path.clone() },
                    unix::UnixError::Io(source) => failed(source),
                })?;
                Ok(Bound { listener: Listener::Unix(socket), address: BoundAddress::Unix(path.clone()) })
            }
        }
    }
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl FromStr for Bind {
    type Err = BindSyntaxError;

    fn from_str(text: &str) -> Result<Self, BindSyntaxError> {
        let wrong = || BindSyntaxError { text: text.to_owned() };
        let path = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text));
        let Some(path) = path else {
            return text.parse().map(Self::Tcp).map_err(|_| wrong());
        };
        let (path, mode) = match path.split_once("?mode=") {
            None => (path, PRIVATE),
            Some((path, mode)) => (path, u32::from_str_radix(mode, 8).map_err(|_| wrong())?),
        };
        if !Path::new(path).is_absolute() || mode > 0o777 {
            return Err(wrong());
        }
        Ok(Self::unix(path, mode))
    }
}

impl TryFrom<String> for Bind {
    type Error = BindSyntaxError;

    fn try_from(text: String) -> Result<Self, BindSyntaxError> {
        text.parse()
    }
}

impl From<Bind> for String {
    fn from(bind: Bind) -> Self {
        bind.to_string()
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix { path, mode: PRIVATE } => write!(formatter, "unix:{}", path.display()),
            Self::Unix { path, mode } => write!(formatter, "unix:{}?mode={mode:04o}", path.display()),
        }
    }
}

/// A socket that listens, and is not served yet. Peers can already connect; they wait.
#[derive(Debug)]
pub struct Bound {
    pub(super) listener: Listener,
    address: BoundAddress,
}

impl Bound {
    /// Where it really listens: port 0 has become a number.
    #[must_use]
    pub const fn address(&self) -> &BoundAddress {
        &self.address
    }
}

/// The address of a listener that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundAddress {
    /// A TCP address with its real port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl BoundAddress {
    /// The TCP address, if it is one.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => path.display().fmt(formatter),
        }
    }
}

/// The socket behind a [`Bound`].
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for (text, back) in [
            ("127.0.0.1:8700", "127.0.0.1:8700"),
            ("[::1]:0", "[::1]:0"),
            ("/run/symbolon/admin.sock", "unix:/run/symbolon/admin.sock"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:/run/a.sock?mode=0666", "unix:/run/a.sock?mode=0666"),
        ] {
            assert_eq!(text.parse::<Bind>().unwrap().to_string(), back);
        }
        assert_eq!("/a".parse::<Bind>().unwrap(), Bind::unix("/a", 0o600));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "8700", "localhost:80", "unix:a.sock", "unix:/a?mode=99", "unix:/a?mode=7777"] {
            assert!(text.parse::<Bind>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_and_unix_are_local() {
        for (text, local) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("/a", true),
            ("0.0.0.0:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(text.parse::<Bind>().unwrap().is_local(), local, "{text}");
        }
    }
}
