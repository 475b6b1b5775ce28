//! An issuer: a key set on a port, and tokens of every kind, good and bad.
//! Not here: a broker.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::server::{Bind, Handler, Server};
use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, SigningHeader, SigningKey, Thumbprint};

#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) key: Arc<SigningKey>,
    address: String,
    state: Arc<State>,
}

struct State {
    keys: Mutex<Vec<Value>>,
    down: AtomicBool,
    fetches: AtomicUsize,
}

#[derive(Clone)]
struct Jwks(Arc<State>);

impl Issuer {
    pub(crate) fn start(lifecycle: &Lifecycle) -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let bound = "127.0.0.1:0".parse::<Bind>().unwrap().listen().unwrap();
        let address = bound.address().to_string();
        let state = Arc::new(State {
            keys: Mutex::new(vec![public(&key)]),
            down: AtomicBool::new(false),
            fetches: AtomicUsize::new(0),
        });
        Server::new("issuer", bound).serve(Jwks(Arc::clone(&state)), lifecycle);
        Self { key: Arc::new(key), address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn jwks_uri(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// Publishes exactly these keys.
    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        *self.state.keys.lock().unwrap() = keys.iter().map(|key| public(key)).collect();
    }

    pub(crate) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// A good token for the orders API that lives five minutes.
    pub(crate) fn mint(&self, now: Timestamp) -> Mint<'_> {
        let claims = json!({
            "iss": self.url(),
            "sub": "spiffe://example.com/shop",
            "aud": super::ORDERS,
            "client_id": "spiffe://example.com/shop",
            "iat": now.as_secs(),
            "nbf": now.as_secs(),
            "exp": now.as_secs() + 300,
            "jti": "token-1",
            "scope": "orders:read",
        });
        Mint { key: &self.key, typ: "at+jwt", key_id: None, claims }
    }

    /// A bearer token for the lenient routes.
    pub(crate) fn bearer(&self, now: Timestamp) -> Mint<'_> {
        self.mint(now).with("iss", format!("{}/lenient", self.url())).with("aud", "https://billing.internal")
    }
}

/// A token in the making.
pub(crate) struct Mint<'a> {
    key: &'a SigningKey,
    typ: &'a str,
    key_id: Option<&'a str>,
    claims: Value,
}

impl<'a> Mint<'a> {
    pub(crate) fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims[claim] = value.into();
        self
    }

    pub(crate) fn without(mut self, claim: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(claim);
        self
    }

    pub(crate) fn bound_to(self, key: Thumbprint) -> Self {
        self.with("cnf", json!({ "jkt": key.to_string() }))
    }

    pub(crate) fn typed(mut self, typ: &'a str) -> Self {
        self.typ = typ;
        self
    }

    pub(crate) fn signed_by(mut self, key: &'a SigningKey) -> Self {
        self.key = key;
        self
    }

    pub(crate) fn naming(mut self, key_id: &'a str) -> Self {
        self.key_id = Some(key_id);
        self
    }

    pub(crate) fn sign(self) -> String {
        let header = SigningHeader::typed(self.typ).with_key_id(self.key_id.unwrap_or(self.key.key_id()));
        self.key.sign(&header, self.claims.to_string().as_bytes()).unwrap()
    }
}

fn public(key: &SigningKey) -> Value {
    serde_json::to_value(key.public_jwk()).unwrap()
}

impl Handler for Jwks {
    type Body = Body;

    fn handle(&self, _request: Request<Body>) -> impl Future<Output = Response<Body>> + Send + 'static {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        let down = self.0.down.load(Ordering::SeqCst);
        let keys = json!({ "keys": *self.0.keys.lock().unwrap() });
        let mut answer = Response::new(Body::from(keys.to_string()));
        if down {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        std::future::ready(answer)
    }
}
