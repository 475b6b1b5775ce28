//! Who is at the other end of a connection, as far as the kernel says so.
//! Not an identity: that is for an attestor to decide.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::sys::socket::{getsockopt, sockopt};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::net::UnixStream;

/// The facts about a connection, the same for all of its requests. A cheap clone.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    facts: Arc<Facts>,
}

#[derive(Debug)]
struct Facts {
    peer: Peer,
    tls: bool,
}

impl ConnectionInfo {
    /// The facts about a connection from `peer`. Servers make these; tests of handlers may.
    #[must_use]
    pub fn new(peer: Peer, tls: bool) -> Self {
        Self { facts: Arc::new(Facts { peer, tls }) }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.facts.peer
    }

    /// Whether we ended TLS on this connection.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.facts.tls
    }
}

/// The other end of a connection.
#[derive(Debug)]
pub enum Peer {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A process on this machine.
    Unix(PeerCredentials),
}

/// Who connected to our Unix socket, at the moment of `connect` (unix(7), `SO_PEERCRED`).
#[derive(Debug)]
pub struct PeerCredentials {
    uid: u32,
    gid: u32,
    pid: Option<u32>,
    pidfd: Option<(OwnedFd, PidfdOrigin)>,
}

/// How a pidfd was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidfdOrigin {
    /// From the socket (`SO_PEERPIDFD`, Linux 6.5): it is the process that connected, without doubt.
    Socket,
    /// Opened by number just after accepting, on an older kernel. If the peer ended between connecting and
    /// being accepted, and its number was given to another process at once, this is that other process.
    /// An attestor that takes such a peer must compare the process's start time with the time of accepting,
    /// or refuse.
    Number,
}

impl PeerCredentials {
    /// Reads what the kernel knows about the peer of `stream`.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        // A peer in another PID namespace has the number 0: that is no number.
        let pid = credentials.pid().filter(|pid| *pid > 0);
        Ok(Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
            pid: pid.and_then(|pid| u32::try_from(pid).ok()),
            pidfd: pidfd(stream, pid),
        })
    }

    /// The effective user id.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The effective group id.
    #[must_use]
    pub const fn gid(&self) -> u32 {
        self.gid
    }

    /// The process id in our namespace. It may belong to somebody else by now: see [`Self::pinned_pid`].
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// A descriptor of the process itself, which no other process can inherit.
    #[must_use]
    pub fn pidfd(&self) -> Option<(BorrowedFd<'_>, PidfdOrigin)> {
        self.pidfd.as_ref().map(|(fd, origin)| (fd.as_fd(), *origin))
    }

    /// The process id that the pidfd has right now; `None` once the process is gone.
    ///
    /// Ask *after* reading `/proc/<pid>/…`: if the answer is still that pid, then what was read belongs to
    /// this process, because a number is not given away before its process is gone.
    ///
    /// # Errors
    /// When the peer has no pidfd, or `/proc` does not answer.
    pub fn pinned_pid(&self) -> io::Result<Option<u32>> {
        let Some((fd, _)) = &self.pidfd else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the peer has no pidfd"));
        };
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
        let pid = info
            .lines()
            .find_map(|line| line.strip_prefix("Pid:"))
            .and_then(|value| value.trim().parse::<i64>().ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a pidfd without a pid"))?;
        // -1: gone. 0: lives in another namespace, where we cannot look at it.
        Ok(u32::try_from(pid).ok().filter(|pid| *pid > 0))
    }
}

/// A pidfd of the peer, the best that this kernel can do; none if the peer is gone.
fn pidfd(stream: &UnixStream, pid: Option<i32>) -> Option<(OwnedFd, PidfdOrigin)> {
    match getsockopt(stream, sockopt::PeerPidfd) {
        Ok(fd) => Some((fd, PidfdOrigin::Socket)),
        Err(nix::errno::Errno::ENOPROTOOPT) => {
            let pid = Pid::from_raw(pid?)?;
            match pidfd_open(pid, PidfdFlags::empty()) {
                Ok(fd) => Some((fd, PidfdOrigin::Number)),
                Err(Errno::SRCH) => None,
                Err(error) => {
                    tracing::warn!(event.name = "server.pidfd_failed", %error, "no pidfd of a peer");
                    None
                }
            }
        }
        // The peer is gone, and with it everything that could be learned about it.
        Err(nix::errno::Errno::ESRCH | nix::errno::Errno::ENODATA | nix::errno::Errno::EINVAL) => None,
        Err(error) => {
            tracing::warn!(event.name = "server.pidfd_failed", %error, "no pidfd of a peer");
            None
        }
    }
}
