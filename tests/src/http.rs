//! A plain HTTP client for tests: it sends what it is told, and hides nothing.
//! Not here: retries, redirects, pools.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

/// A request that is about to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// `GET path`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// `POST path` with a form.
    #[must_use]
    pub fn form(path: &str, pairs: &[(&str, &str)]) -> Self {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let call = Self { method: Method::POST, body: form.into(), ..Self::get(path) };
        call.header("content-type", "application/x-www-form-urlencoded")
    }

    /// `POST path` with JSON.
    #[must_use]
    pub fn json(path: &str, body: &Value) -> Self {
        let call = Self { method: Method::POST, body: body.to_string().into(), ..Self::get(path) };
        call.header("content-type", "application/json")
    }

    /// `POST path` with any body.
    ///
    /// # Panics
    /// If the content type cannot stand in a header.
    #[must_use]
    pub fn post(path: &str, content_type: &str, body: &str) -> Self {
        let call = Self { method: Method::POST, body: body.to_owned().into(), ..Self::get(path) };
        call.header("content-type", content_type)
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// With one more header, also if there is one of that name.
    ///
    /// # Panics
    /// If name or value cannot stand in a header; such requests are written by [`raw`].
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: http::HeaderName = name.parse().unwrap();
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// With a bearer token.
    ///
    /// # Panics
    /// If the token cannot stand in a header.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends it on a connection of its own.
    ///
    /// # Errors
    /// A sentence, if there is no answer.
    pub async fn send(self, place: impl Into<Place>) -> Result<Answer, String> {
        Connection::open(&place.into()).await?.send(self).await
    }

    fn build(self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().expect("a test writes valid paths");
        *request.headers_mut() = self.headers;
        request
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A member of the JSON body as text; empty if it is absent.
    #[must_use]
    pub fn text(&self, member: &str) -> String {
        self.json().get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// All values of a header as one text (RFC 9110 §5.3); empty if it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(", ")
    }
}

/// A connection that is kept for several requests.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    place: Place,
    host: String,
    /// Drives the connection, and ends with it.
    _driver: JoinSet<()>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// A sentence, if nobody listens there.
    pub async fn open(place: &Place) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{place:?}: {error}");
        match place {
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                Self::over(stream, place, address.to_string()).await
            }
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(failed)?;
                Self::over(stream, place, "localhost".to_owned()).await
            }
        }
    }

    /// Speaks HTTP on a connection to `place` that somebody opened.
    ///
    /// # Errors
    /// A sentence, if it is no longer open.
    pub async fn over<S>(stream: S, place: &Place, host: String) -> Result<Self, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| error.to_string())?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { sender, place: place.clone(), host, _driver: driver })
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// A sentence, if there is no whole answer in time.
    ///
    /// # Panics
    /// If the request has a path that is none.
    pub async fn send(&mut self, call: Call) -> Result<Answer, String> {
        let mut request = call.build();
        if !request.headers().contains_key("host") {
            request.headers_mut().insert("host", self.host.parse().unwrap());
        }
        let exchange = async {
            let (head, body) =
                self.sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        let answer =
            tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| "no answer in time".to_owned())??;
        crate::refusals::note(&self.place, &answer);
        Ok(answer)
    }
}

/// Writes bytes as they are, and returns everything that comes back until the end of the connection.
///
/// # Panics
/// If nobody listens there, or the connection does not end in time.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The other side may refuse and close while we still write.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(TIMEOUT, exchange).await.expect("the connection ends")
}
