//! Who may use the admin socket: our own user and root, by the kernel's word.
//! Not here: what they may do with it.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use symbolon_http::server::{ConnectionInfo, Peer};
use tokio::time::timeout;

const FORM: &str = "application/x-www-form-urlencoded";
const BODY_TIME: Duration = Duration::from_secs(5);

/// Tells operators from others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operators {
    uid: u32,
}

impl Operators {
    /// What everybody else is told.
    pub(super) const REFUSAL: &'static str = "the admin socket is for the broker's own user and root";

    /// The user of this process, and root.
    pub(crate) fn of_process() -> Self {
        Self { uid: rustix::process::geteuid().as_raw() }
    }

    /// The user at the other end, if it is us or root.
    pub(super) fn admit(self, connection: &ConnectionInfo) -> Option<u32> {
        match connection.peer() {
            Peer::Unix(peer) => Some(peer.uid()).filter(|uid| *uid == self.uid || *uid == 0),
            Peer::Tcp(_) => None,
        }
    }

    /// The answer to anybody else.
    pub(super) fn refuse(self, connection: &ConnectionInfo) -> Option<Response> {
        let is_stranger = self.admit(connection).is_none();
        is_stranger.then(|| problem(StatusCode::FORBIDDEN, Self::REFUSAL))
    }
}

/// The whole body of a request, if it is no larger and arrives in time.
///
/// # Errors
/// The status and what is wrong, in words.
pub(super) async fn body(body: Body, most: usize) -> Result<Bytes, (StatusCode, &'static str)> {
    match timeout(BODY_TIME, to_bytes(body, most)).await {
        Ok(Ok(content)) => Ok(content),
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive")),
    }
}

/// Whether a request says that its body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
}

/// An answer that says what is wrong.
pub(super) fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
