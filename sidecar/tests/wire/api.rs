//! A fake API: it remembers every request that reaches it, and answers by path.
//! It checks nothing; the tests look at what it saw.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Frame;
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::server::{Bind, ConnectionInfo, Server};
use symbolon_wire::paths::STREAM_RENEWAL;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A fake API. Clones are the same one. It knows its streams on new connections only, as behind a balancer.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// What `/stream` sends, piece by piece, until it is dropped.
    pub(crate) pieces: Arc<Mutex<Option<Sender<Bytes>>>>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
}

impl Seen {
    /// Who connected, which no other connection shares.
    pub(crate) fn connection(&self) -> String {
        connection(&self.head)
    }

    /// The only value of a field.
    pub(crate) fn field(&self, name: &str) -> &str {
        let values: Vec<_> = self.head.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        values[0].to_str().unwrap()
    }
}

fn connection(head: &Parts) -> String {
    format!("{:?}", head.extensions.get::<ConnectionInfo>().unwrap().peer())
}

/// A body that ends when its sender is dropped.
pub(crate) struct Drip(Receiver<Bytes>);

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Api {
    /// Serves at some free port.
    pub(crate) fn start(lifecycle: &Lifecycle) -> (Self, String) {
        let api = Self { seen: Arc::default(), pieces: Arc::default() };
        let bound = "127.0.0.1:0".parse::<Bind>().unwrap().listen().unwrap();
        let address = bound.address().to_string();
        let this = api.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        Server::new("api", bound).serve(service, lifecycle);
        (api, address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().last().unwrap().clone()
    }

    async fn answer(&self, request: Request<Body>) -> Response<Drip> {
        let (head, body) = request.into_parts();
        let body = body.read(1 << 20, Duration::from_secs(5)).await.unwrap();
        let (sender, receiver) = channel(4);
        let mut answer = Response::new(Drip(receiver));
        match head.uri.path() {
            "/stream" => *self.pieces.lock().unwrap() = Some(sender),
            "/events" => {
                *self.pieces.lock().unwrap() = Some(sender);
                answer.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
                answer.headers_mut().insert("symbolon-stream", "abc".parse().unwrap());
            }
            STREAM_RENEWAL => {
                let known = self.seen().iter().any(|before| before.connection() == connection(&head));
                let status = if known { http::StatusCode::NOT_FOUND } else { http::StatusCode::NO_CONTENT };
                *answer.status_mut() = status;
            }
            "/redirect" => {
                *answer.status_mut() = http::StatusCode::FOUND;
                answer.headers_mut().insert("location", "http://127.0.0.1:1/elsewhere".parse().unwrap());
            }
            "/echo" => {
                for name in ["authorization", "dpop"] {
                    answer.headers_mut().insert(name, head.headers[name].clone());
                }
            }
            _ => sender.send(body.clone()).await.unwrap(),
        }
        self.seen.lock().unwrap().push(Seen { head, body });
        answer
    }
}
