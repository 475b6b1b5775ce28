//! One HTTP/1.1 request on a connection of its own, to a loopback port or a Unix socket of our programs.
//! Not here: calls to anything else, which go through the guarded client of `symbolon-http`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::exit::Failure;

/// No answer of our programs is longer.
const MAX_ANSWER: usize = 1024 * 1024;
/// No answer of our programs takes longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// `host:port`.
    Tcp(String),
    /// A socket file.
    Unix(PathBuf),
}

impl Place {
    /// The place and the path of an `http://` URL.
    pub(crate) fn of_url(url: &str) -> anyhow::Result<(Self, String)> {
        let url = url::Url::parse(url).with_context(|| format!("`{url}` is not a URL"))?;
        anyhow::ensure!(url.scheme() == "http", "only http URLs of this machine are asked directly");
        let host = url.host_str().context("the URL has no host")?;
        let port = url.port_or_known_default().context("the URL has no port")?;
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        Ok((Self::Tcp(format!("{host}:{port}")), path.to_owned()))
    }

    fn authority(&self) -> &str {
        match self {
            Self::Tcp(authority) => authority,
            Self::Unix(_) => "localhost",
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(authority) => f.write_str(authority),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A request that is about to be sent. Its headers may be credentials, so it has no `Debug`.
pub(crate) struct Call {
    place: Place,
    request: http::request::Builder,
    body: Bytes,
}

impl Call {
    /// `GET path`.
    pub(crate) fn get(place: &Place, path: &str) -> Self {
        Self::new(Method::GET, place, path)
    }

    /// `GET` of an `http://` URL.
    pub(crate) fn get_url(url: &str) -> anyhow::Result<Self> {
        let (place, path) = Place::of_url(url)?;
        Ok(Self::get(&place, &path))
    }

    /// `POST path` with a form.
    pub(crate) fn post_form(place: &Place, path: &str, pairs: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let body = form.extend_pairs(pairs).finish();
        let mut call = Self::new(Method::POST, place, path);
        call.body = body.into();
        call.header("content-type", "application/x-www-form-urlencoded")
    }

    fn new(method: Method, place: &Place, path: &str) -> Self {
        let request = http::Request::builder().method(method).uri(path).header("host", place.authority());
        Self { place: place.clone(), request, body: Bytes::new() }
    }

    /// With one more header.
    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(self) -> anyhow::Result<Answer> {
        let shown = self.place.to_string();
        let exchange = async move {
            let request =
                self.request.body(Full::new(self.body)).context("the request is not well formed")?;
            match &self.place {
                Place::Tcp(authority) => exchange(connect_tcp(authority).await?, request).await,
                Place::Unix(path) => exchange(connect_unix(path).await?, request).await,
            }
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(result) => result.with_context(|| format!("asking {shown}")),
            Err(_) => Err(Failure::unavailable(format!("{shown} did not answer in time")).into()),
        }
    }
}

async fn connect_tcp(authority: &str) -> Result<TcpStream, Failure> {
    let refused = |error| Failure::unavailable(format!("cannot connect to {authority}: {error}"));
    TcpStream::connect(authority).await.map_err(refused)
}

async fn connect_unix(path: &Path) -> Result<UnixStream, Failure> {
    let refused = |error| Failure::unavailable(format!("cannot connect to {}: {error}", path.display()));
    UnixStream::connect(path).await.map_err(refused)
}

async fn exchange<S>(stream: S, request: http::Request<Full<Bytes>>) -> anyhow::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| anyhow::anyhow!(error))?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    };
    tokio::pin!(connection, answer);
    tokio::select! {
        biased;
        result = &mut answer => result,
        // The connection may end first; what it has read is still there for the answer.
        _ = &mut connection => answer.await,
    }
}

/// An answer, read to its end. Its body may hold a token, so it has no `Debug`.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The whole body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("the {} answer is not the expected JSON", self.status))
    }

    /// All values of a header as one text (RFC 9110 §5.3); empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(", ")
    }
}
