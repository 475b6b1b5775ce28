//! The operator's Unix socket: `GET /v1/decisions/{id}`, for our own user and root.
//! Not here: health and metrics, which are on the admin TCP port.

use std::future::{Future, ready};
use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use symbolon_http::Body;
use symbolon_http::server::{ConnectionInfo, Handler, Peer};
use symbolon_identity::DecisionId;
use symbolon_wire::paths::DECISIONS;

use crate::trail::Trail;

/// Answers operators.
#[derive(Debug, Clone)]
pub struct Operators {
    trail: Arc<Trail>,
    own: u32,
}

impl Operators {
    /// Answers from this trail, to root and to the user that runs this process.
    #[must_use]
    pub fn new(trail: Arc<Trail>) -> Self {
        Self { trail, own: rustix::process::getuid().as_raw() }
    }

    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        if !self.knows(request) {
            return text(StatusCode::FORBIDDEN, "only for the gateway's own user and root\n");
        }
        let id = request.uri().path().strip_prefix(DECISIONS).and_then(|rest| rest.strip_prefix('/'));
        let Some(id) = id else { return text(StatusCode::NOT_FOUND, "not found\n") };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        }
        let Ok(id) = DecisionId::parse(id) else {
            return text(StatusCode::BAD_REQUEST, "not a decision id\n");
        };
        let Some(found) = self.trail.recent().find(&id) else {
            return text(StatusCode::NOT_FOUND, "no recent rejection has this id\n");
        };
        match serde_json::to_vec(&found.document()) {
            Ok(body) => answer(StatusCode::OK, "application/json", body.into()),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the decision cannot be written\n"),
        }
    }

    fn knows(&self, request: &Request<Body>) -> bool {
        match request.extensions().get::<ConnectionInfo>().map(ConnectionInfo::peer) {
            Some(Peer::Unix(peer)) => peer.uid() == self.own || peer.uid() == 0,
            Some(Peer::Tcp(_)) | None => false,
        }
    }
}

impl Handler for Operators {
    type Body = Body;

    fn handle(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send + 'static {
        ready(self.answer(&request))
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", text.into())
}

fn answer(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
