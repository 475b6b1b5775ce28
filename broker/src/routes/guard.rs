//! Who may use the admin socket: our own user and root, by the kernel's word.
//! Not here: the mode of the socket's file, which keeps others out before they are asked.

use symbolon_http::server::{ConnectionInfo, Peer};

/// Our own user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ourselves {
    uid: u32,
}

impl Ourselves {
    /// What everybody else is told.
    pub(super) const REFUSAL: &'static str = "the admin socket is for the broker's own user and root";

    /// The user that this process runs as.
    pub(crate) fn of_this_process() -> Self {
        Self { uid: rustix::process::geteuid().as_raw() }
    }

    /// The user at the other end, if it is us or root.
    pub(super) fn admit(self, connection: &ConnectionInfo) -> Option<u32> {
        match connection.peer() {
            Peer::Unix(peer) => Some(peer.uid()).filter(|uid| *uid == self.uid || *uid == 0),
            Peer::Tcp(_) => None,
        }
    }
}
