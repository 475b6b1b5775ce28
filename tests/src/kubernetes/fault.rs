//! Something between a program and an API server that goes wrong where it is told to: slow, garbage, far too much.
//! Not here: an API server that hangs or is down as a whole; `Cluster::pause` and `kill` do that to the real one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::api::Api;
use crate::certificates::Authority;
use crate::http::Call;

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is never an answer.
    Silence,
    /// The answer is 200 and a sentence.
    Garbage,
    /// The answer is 200 and an object of another kind.
    Stranger,
    /// The answer is 200 and ten MiB of JSON.
    Huge,
    /// The answer is 200 and one line that has no end, as fast as it is read.
    Endless,
    /// The answer is 500.
    Broken,
    /// The answer ends in the middle of an object.
    CutOff,
}

/// A proxy before an API server; it ends with this.
#[derive(Debug)]
pub struct Faulty {
    address: SocketAddr,
    authority: Authority,
    fault: Arc<Mutex<Option<(String, Fault)>>>,
    _tasks: JoinSet<()>,
}

impl Faulty {
    /// Stands before whoever this API speaks to, without a fault.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before(api: &Api) -> Self {
        let (authority, fault) = (Authority::new(), Arc::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(authority.pair().server()));
        let mut tasks = JoinSet::new();
        let (api, shared) = (api.with_token(""), Arc::clone(&fault));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(acceptor.clone(), stream, api.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, authority, fault, _tasks: tasks }
    }

    /// Its base URL.
    #[must_use]
    pub fn server(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate that its own is signed with.
    #[must_use]
    pub fn ca_file(&self) -> std::path::PathBuf {
        self.authority.ca_file()
    }

    /// From now on this goes wrong for requests whose path and query contain a word.
    ///
    /// # Panics
    /// If another test has failed.
    pub fn fail(&self, word: &str, fault: Fault) {
        *self.fault.lock().unwrap() = Some((word.to_owned(), fault));
    }

    /// Nothing goes wrong any more.
    ///
    /// # Panics
    /// If another test has failed.
    pub fn heal(&self) {
        *self.fault.lock().unwrap() = None;
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    api: Api,
    fault: Arc<Mutex<Option<(String, Fault)>>>,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(|request: http::Request<Incoming>| {
        let target = request.uri().to_string();
        let fault = fault.lock().unwrap().clone().filter(|(word, _)| target.contains(word.as_str()));
        let api = api.clone();
        async move {
            match fault {
                Some((_, fault)) => Ok(wrong(fault).await),
                None => pass(&api, request).await,
            }
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The server's own answer, as a whole.
async fn pass(api: &Api, request: http::Request<Incoming>) -> Result<http::Response<Body>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut call =
        Call::post(target, "application/json", &String::from_utf8_lossy(&body)).method(head.method);
    if let Some(value) = head.headers.get("authorization").and_then(|value| value.to_str().ok()) {
        call = call.header("authorization", value);
    }
    let answer = api.call(call).await.map_err(std::io::Error::other)?;
    let mut response = http::Response::new(Full::new(answer.body).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap();
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn wrong(fault: Fault) -> http::Response<Body> {
    let whole = |text: String| Full::from(text).boxed_unsync();
    let body = match fault {
        Fault::Silence => std::future::pending().await,
        Fault::Garbage => whole("<html>this is no answer".to_owned()),
        Fault::Stranger => {
            whole(r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"}}"#.to_owned())
        }
        Fault::Huge => whole(format!("{{\"kind\":\"{}\"}}", "x".repeat(10 << 20))),
        Fault::Broken => whole("{}".to_owned()),
        Fault::CutOff => whole(r#"{"kind":"Pod","metadata":{"name":"#.to_owned()),
        Fault::Endless => {
            let part = Bytes::from(vec![b'x'; 1 << 16]);
            let parts = stream::repeat(part).then(|part| async {
                // Other tasks of the test have their turn.
                tokio::time::sleep(Duration::from_micros(50)).await;
                Ok(Frame::data(part))
            });
            http_body_util::BodyExt::boxed_unsync(StreamBody::new(parts))
        }
    };
    let mut response = http::Response::new(body);
    if fault == Fault::Broken {
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}
