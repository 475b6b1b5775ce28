//! An app: plain HTTP/1.1 to a local listener, over TCP or a Unix socket.
//! It sends exactly the fields that a test wants, right or wrong.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use symbolon_daemon::Lifecycle;
use symbolon_identity::{DecisionId, ReasonCode};
use symbolon_wire::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

const PATIENCE: Duration = Duration::from_secs(20);

/// Where to call.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tcp(String),
    Unix(PathBuf),
}

/// A call that is about to be made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    place: Place,
    request: Request<Full<Bytes>>,
    lifecycle: Lifecycle,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// `GET` of this path, with the `Host` that the place has.
    pub(crate) fn get(place: Place, path: &str, lifecycle: &Lifecycle) -> Self {
        let host = match &place {
            Place::Tcp(address) => address.clone(),
            Place::Unix(_) => "localhost".to_owned(),
        };
        let request = Request::builder().uri(path).header("host", host).body(Full::default()).unwrap();
        Self { place, request, lifecycle: lifecycle.clone() }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        *self.request.method_mut() = method.parse().unwrap();
        self
    }

    pub(crate) fn body(mut self, body: &'static str) -> Self {
        *self.request.body_mut() = Full::from(body);
        self
    }

    /// Adds a field, beside one of the same name.
    pub(crate) fn field(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    /// Names another host.
    pub(crate) fn host(mut self, host: &str) -> Self {
        self.request.headers_mut().insert("host", host.parse().unwrap());
        self
    }

    /// Makes the call and reads the whole answer.
    pub(crate) async fn send(self) -> Answer {
        let (head, body) = self.begin().await.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.unwrap().unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Makes the call and leaves the body to be read.
    pub(crate) async fn begin(self) -> Response<Incoming> {
        let answer = async {
            match &self.place {
                Place::Tcp(address) => self.over(TcpStream::connect(address).await.unwrap()).await,
                Place::Unix(path) => self.over(UnixStream::connect(path).await.unwrap()).await,
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.unwrap()
    }

    async fn over<S>(&self, stream: S) -> Response<Incoming>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        self.lifecycle.spawn_background("caller", async move {
            let _ = connection.await;
        });
        sender.send_request(self.request.clone()).await.unwrap()
    }
}

impl Answer {
    /// The problem document of a refusal.
    pub(crate) fn problem(&self) -> (u16, ReasonCode, Option<DecisionId>) {
        assert_eq!(self.headers["content-type"], Problem::MEDIA_TYPE);
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status.as_u16());
        (problem.status, problem.code, problem.decision_id)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
