//! Who may use the admin socket: our own user and root, by the kernel's word.
//! Not here: what they may do with it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use symbolon_http::server::{ConnectionInfo, Peer};

/// Tells operators from others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operators {
    uid: u32,
}

impl Operators {
    /// The user of this process, and root.
    pub(crate) fn of_process() -> Self {
        Self { uid: rustix::process::geteuid().as_raw() }
    }

    /// The answer to anybody else.
    pub(super) fn refuse(self, connection: &ConnectionInfo) -> Option<Response> {
        let may_ask = match connection.peer() {
            Peer::Unix(peer) => peer.uid() == self.uid || peer.uid() == 0,
            Peer::Tcp(_) => false,
        };
        let message = "the admin socket is for the broker's own user and root";
        (!may_ask).then(|| problem(StatusCode::FORBIDDEN, message))
    }
}

/// An answer that says what is wrong.
pub(super) fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
