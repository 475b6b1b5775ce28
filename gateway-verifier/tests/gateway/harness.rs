//! What every test here needs: a world with an issuer, an API and a gateway between them.
//! Not here: what is tested.

pub(crate) mod api;
pub(crate) mod issuer;
pub(crate) mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use symbolon_config::Environment;
use symbolon_daemon::{FixedClock, Lifecycle};
use symbolon_gateway_verifier::app::{App, Read, Start};
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};
use tempfile::TempDir;

use api::Api;
use issuer::{Issuer, Mint};
use wire::Answer;

/// The second at which every test begins.
pub(crate) const NOW: u64 = 1_800_000_000;
/// What the orders API is called in tokens.
pub(crate) const ORDERS: &str = "https://orders.internal";
/// What clients call the gateway.
pub(crate) const ORIGIN: &str = "https://orders.example.com";

/// An issuer, an API and a gateway between them.
pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) api: Api,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) key: ProofKey,
    pub(crate) public: String,
    pub(crate) admin: String,
    pub(crate) folder: TempDir,
    lifecycle: Lifecycle,
}

/// How a world differs from the usual one.
#[derive(Default)]
pub(crate) struct Twist {
    /// Added at the end of the configuration.
    pub(crate) more: String,
    /// Used instead of the usual routes.
    pub(crate) routes: Option<String>,
    /// Whether the issuer is down when the gateway starts.
    pub(crate) issuer_down: bool,
}

/// The usual routes: bound tokens with a scope, a narrower one, bearer tokens allowed, a public one.
pub(crate) fn routes(api: &str) -> String {
    format!(
        "
routes:
  - name: orders
    match: {{ hosts: [orders.example.com], path: /orders/**, methods: [GET, POST, OPTIONS] }}
    resource: {ORDERS}
    upstream: {{ url: 'http://{api}' }}
    stages:
      - verify: {{ issuers: [main], scopes: ['orders:read'] }}
  - name: orders-admin
    match: {{ hosts: [orders.example.com], path: /orders/admin/**, methods: [GET] }}
    resource: {ORDERS}
    upstream: {{ url: 'http://{api}' }}
    stages:
      - verify: {{ issuers: [main], scopes: ['orders:read', 'orders:admin'] }}
  - name: billing
    match: {{ hosts: [orders.example.com], path: /billing/** }}
    resource: https://billing.internal
    upstream: {{ url: 'http://{api}' }}
    stages:
      - verify: {{ issuers: [lenient] }}
  - name: optional
    match: {{ hosts: [orders.example.com], path: /optional/** }}
    resource: https://billing.internal
    public: true
    upstream: {{ url: 'http://{api}' }}
    stages:
      - verify: {{ issuers: [lenient] }}
  - name: passing
    match: {{ hosts: [orders.example.com], path: /passing/** }}
    resource: https://billing.internal
    forward_credential: true
    upstream: {{ url: 'http://{api}' }}
    stages:
      - verify: {{ issuers: [lenient] }}
  - name: public
    match: {{ hosts: [orders.example.com], path: /public/** }}
    public: true
    upstream: {{ url: 'http://{api}' }}
"
    )
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Twist::default()).await
    }

    pub(crate) async fn with(twist: Twist) -> Self {
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        let issuer = Issuer::start(&lifecycle);
        issuer.set_down(twist.issuer_down);
        let api = Api::start(&lifecycle);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.yaml");
        let routes = twist.routes.unwrap_or_else(|| routes(&api.address));
        std::fs::write(&path, configuration(&issuer, folder.path(), &routes, &twist.more)).unwrap();

        let clock = Arc::new(FixedClock::at(NOW));
        let environment = Environment::empty();
        let ready_file = folder.path().join("ready.json");
        let start = Start {
            config: path.clone(),
            ready_file: Some(ready_file.clone()),
            environment: environment.clone(),
        };
        let read = Read::from(&path, &environment).unwrap();
        let app = App::start(&start, read, lifecycle.clone(), Arc::clone(&clock) as Arc<_>).unwrap();
        let (public, admin) = (app.addresses().public.clone(), app.addresses().admin.clone());
        wait_for("the ready file", || ready_file.exists()).await;
        Self {
            issuer,
            api,
            clock,
            key: ProofKey::generate(Algorithm::Es256).unwrap(),
            public,
            admin,
            folder,
            lifecycle,
        }
    }

    /// The time on the gateway's clock.
    pub(crate) fn now(&self) -> Timestamp {
        use symbolon_daemon::Clock as _;
        Timestamp::from_secs(self.clock.unix_seconds()).unwrap()
    }

    /// A good token for the orders API, bound to this world's key.
    pub(crate) fn mint(&self) -> Mint<'_> {
        self.issuer.mint(self.now()).bound_to(self.key.thumbprint())
    }

    /// A proof for a request, by this world's key.
    pub(crate) fn proof(&self, method: &str, path: &str, token: &str) -> String {
        prove(&self.key, method, &format!("{ORIGIN}{path}"), token, self.now())
    }

    /// A request with a token and a proof for it.
    pub(crate) async fn call(&self, method: &str, path: &str, token: &str) -> Answer {
        let proof = self.proof(method, path, token);
        let more = format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n");
        self.send(method, path, &more).await
    }

    /// A request with these header lines.
    pub(crate) async fn send(&self, method: &str, target: &str, more: &str) -> Answer {
        let raw = format!(
            "{method} {target} HTTP/1.1\r\nHost: orders.example.com\r\n{more}Connection: close\r\n\r\n"
        );
        self.raw(raw.as_bytes()).await
    }

    /// Exactly these bytes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        wire::ask(&self.public, bytes).await
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The gateway's metrics.
    pub(crate) async fn metrics(&self) -> String {
        let raw = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        wire::ask(&self.admin, raw).await.text()
    }

    /// Ends the gateway and waits until everything is written.
    pub(crate) async fn end(self) -> TempDir {
        self.lifecycle.shutdown();
        self.lifecycle.run().await;
        self.folder
    }
}

fn configuration(issuer: &Issuer, folder: &std::path::Path, routes: &str, more: &str) -> String {
    let (jwks, folder) = (issuer.jwks_uri(), folder.display());
    let url = issuer.url();
    format!(
        "
listen: 127.0.0.1:0
admin: {{ listen: '127.0.0.1:0', socket: {folder}/admin.sock }}
origins: [{ORIGIN}, 'http://orders.example.com']
audit: {{ file: {folder}/audit.jsonl }}
keys: {{ directory: {folder}/keys }}
issuers:
  - {{ name: main, issuer: '{url}', jwks_uri: '{jwks}', dev: true, audiences: [{ORDERS}, 'https://reports.internal'] }}
  - {{ name: lenient, issuer: '{url}/lenient', jwks_uri: '{jwks}/lenient', dev: true, audiences: ['https://billing.internal'], binding: when_bound }}
{routes}
{more}
"
    )
}

/// A proof by any key.
pub(crate) fn prove(key: &ProofKey, method: &str, target: &str, token: &str, now: Timestamp) -> String {
    let request = ProofRequest { method, target_uri: target, access_token: Some(token), nonce: None };
    key.prove(&request, now).unwrap()
}

/// Waits for a state, in limited time.
pub(crate) async fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"));
}
