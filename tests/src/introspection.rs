//! An issuer of opaque tokens with an introspection endpoint (RFC 7662), built from the wire format alone.
//! Not here: honesty; a test says what it answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::machine::free_address;

/// What the endpoint answers about one token.
#[derive(Debug, Clone)]
pub enum Reply {
    /// 200 with this JSON.
    Json(Value),
    /// This status, content type and body.
    Raw(u16, &'static str, String),
    /// 302 to another place.
    Redirect(String),
    /// Nothing, and the connection stays open.
    Silence,
    /// Nothing, and the connection is closed.
    Close,
}

/// What arrived at the endpoint.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The form.
    pub form: HashMap<String, String>,
    /// The `Authorization` header.
    pub authorization: String,
}

#[derive(Debug, Default)]
struct State {
    replies: HashMap<String, Reply>,
    metadata: Option<Value>,
    questions: Vec<Question>,
    strays: u64,
}

/// The issuer; it ends with this.
#[derive(Debug)]
pub struct OpaqueIssuer {
    /// Where it listens while it is up.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: Option<JoinSet<()>>,
}

impl OpaqueIssuer {
    /// An issuer that knows no token.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let mut issuer = Self { address: free_address(), state: Arc::default(), task: None };
        let url = issuer.url();
        issuer.describe(json!({
            "issuer": url, "jwks_uri": format!("{url}/jwks.json"), "introspection_endpoint": issuer.endpoint()
        }));
        issuer.up().await;
        issuer
    }

    /// Its `iss`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its introspection endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}/introspect", self.url())
    }

    /// Says this in its discovery document from now on.
    ///
    /// # Panics
    /// If another test thread has panicked.
    pub fn describe(&self, metadata: Value) {
        self.state.lock().unwrap().metadata = Some(metadata);
    }

    /// Says this about a token from now on.
    ///
    /// # Panics
    /// If another test thread has panicked.
    pub fn says(&self, token: &str, reply: Reply) {
        self.state.lock().unwrap().replies.insert(token.to_owned(), reply);
    }

    /// What it was asked.
    ///
    /// # Panics
    /// If another test thread has panicked.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.state.lock().unwrap().questions.clone()
    }

    /// How often it was asked about this token.
    #[must_use]
    pub fn asked(&self, token: &str) -> usize {
        let is_it = |question: &&Question| question.form.get("token").is_some_and(|asked| asked == token);
        self.questions().iter().filter(is_it).count()
    }

    /// Requests to places that only a redirect leads to.
    ///
    /// # Panics
    /// If another test thread has panicked.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.state.lock().unwrap().strays
    }

    /// Brings it up.
    ///
    /// # Panics
    /// If somebody took its port.
    pub async fn up(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let state = Arc::clone(&self.state);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                connections.spawn(async move {
                    // A broken connection is part of some tests.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        self.task = Some(task);
    }

    /// Takes it down: nobody listens, open connections break.
    pub async fn down(&mut self) {
        if let Some(mut task) = self.task.take() {
            task.shutdown().await;
        }
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let reply = match head.uri.path() {
        "/introspect" => {
            let form: HashMap<_, _> = url::form_urlencoded::parse(&body).into_owned().collect();
            let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let token = form.get("token").cloned().unwrap_or_default();
            let mut state = state.lock().unwrap();
            let authorization = authorization.unwrap_or_default().to_owned();
            state.questions.push(Question { form, authorization });
            state.replies.get(&token).cloned().unwrap_or_else(|| Reply::Json(json!({"active": false})))
        }
        "/.well-known/openid-configuration" => {
            let metadata = state.lock().unwrap().metadata.clone();
            metadata.map_or_else(|| Reply::Raw(404, "text/plain", String::new()), Reply::Json)
        }
        path => {
            if path.starts_with("/elsewhere") {
                state.lock().unwrap().strays += 1;
            }
            Reply::Raw(404, "text/plain", String::new())
        }
    };
    let answer = Response::builder();
    let answer = match reply {
        Reply::Json(value) => {
            answer.header(CONTENT_TYPE, "application/json").body(Full::from(value.to_string()))
        }
        Reply::Raw(status, "", body) => answer.status(status).body(Full::from(body)),
        Reply::Raw(status, kind, body) => {
            answer.status(status).header(CONTENT_TYPE, kind).body(Full::from(body))
        }
        Reply::Redirect(to) => answer.status(302).header("location", to).body(Full::default()),
        Reply::Silence => std::future::pending().await,
        Reply::Close => return Err(std::io::Error::other("closed by the test")),
    };
    answer.map_err(std::io::Error::other)
}
