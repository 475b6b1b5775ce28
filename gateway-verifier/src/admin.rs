//! The operator's Unix socket: `GET /v1/decisions` and `/v1/decisions/{id}`, for our own user and root.
//! Not here: health and metrics, which are on the admin TCP port.

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use symbolon_http::Body;
use symbolon_http::server::{ConnectionInfo, Handler, Peer};
use symbolon_identity::DecisionId;
use symbolon_wire::paths::DECISIONS;

use crate::decisions::Rejected;
use crate::house::House;
use crate::trail::Trail;

/// The most rejections in one list.
const MAX_LISTED: usize = 200;

/// Answers operators.
#[derive(Debug, Clone)]
pub struct Operators {
    trail: Arc<Trail>,
    house: Arc<ArcSwap<House>>,
    own: u32,
}

/// What an operator wants to see.
#[derive(Debug)]
enum Asked {
    /// One rejection, explained.
    One(Box<Rejected>),
    /// The last ones.
    List,
}

impl Operators {
    /// Answers from this trail and the policies of this house, to root and to the user that runs this process.
    #[must_use]
    pub fn new(trail: Arc<Trail>, house: Arc<ArcSwap<House>>) -> Self {
        Self { trail, house, own: rustix::process::getuid().as_raw() }
    }

    fn asked(&self, request: &Request<Body>) -> Result<Asked, (StatusCode, &'static str)> {
        let refuse = |status, message| Err((status, message));
        if !self.knows(request) {
            return refuse(StatusCode::FORBIDDEN, "only for the gateway's own user and root\n");
        }
        let Some(rest) = request.uri().path().strip_prefix(DECISIONS) else {
            return refuse(StatusCode::NOT_FOUND, "not found\n");
        };
        let id = rest.strip_prefix('/');
        if id.is_none() && !rest.is_empty() {
            return refuse(StatusCode::NOT_FOUND, "not found\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        }
        let Some(id) = id else { return Ok(Asked::List) };
        let Ok(id) = DecisionId::parse(id) else {
            return refuse(StatusCode::BAD_REQUEST, "not a decision id\n");
        };
        match self.trail.recent().find(&id) {
            Some(found) => Ok(Asked::One(Box::new(found))),
            None => refuse(StatusCode::NOT_FOUND, "no recent rejection has this id\n"),
        }
    }

    async fn answer(&self, asked: Asked) -> Response<Body> {
        let (house, trail) = (self.house.load_full(), Arc::clone(&self.trail));
        // Explaining takes longer than a thread that serves requests has.
        let written = tokio::task::spawn_blocking(move || match asked {
            Asked::One(found) => serde_json::to_vec(&found.document(&house.policies)),
            Asked::List => {
                let last = trail.recent().last(MAX_LISTED);
                serde_json::to_vec(&last.iter().map(Rejected::brief).collect::<Vec<_>>())
            }
        });
        match written.await {
            Ok(Ok(body)) => answer(StatusCode::OK, "application/json", body.into()),
            Ok(Err(_)) | Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the decision cannot be shown\n"),
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
        let operators = self.clone();
        async move {
            match operators.asked(&request) {
                Ok(asked) => operators.answer(asked).await,
                Err((status, message)) => text(status, message),
            }
        }
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
