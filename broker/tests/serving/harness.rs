//! A broker in this process, on real sockets, and its callers.
//! Not here: the program as a process; the end-to-end suites start that.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use symbolon_broker::{Addresses, App, Plan, StartError};
use symbolon_config::Environment;
use symbolon_daemon::{Clock, Lifecycle, Readiness, SystemClock};
use symbolon_http::client::{AddressPolicy, GuardedClient};
use symbolon_identity::{Audience, Timestamp};
use symbolon_jws::{Algorithm, SigningKey, base64url, random_bytes};
use symbolon_proof::{ProofKey, ProofRequest};
use symbolon_token::{Actor, Claims, Issuer, Subject, TokenType, sign};
use tempfile::TempDir;
use url::Url;

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(crate) const CI: &str = "https://ci.example.com";

/// What a broker is started with; it survives the broker.
pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    pub(crate) client: SigningKey,
    pub(crate) ci: SigningKey,
}

/// A broker that runs.
pub(crate) struct Running {
    pub(crate) addresses: Addresses,
    lifecycle: Lifecycle,
}

/// An answer, read as JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }

    /// The reason code of a refusal.
    pub(crate) fn reason(&self) -> &str {
        self.text("error_description").split(':').next().unwrap_or_default()
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_secs(SystemClock.unix_seconds()).unwrap()
}

impl Setup {
    pub(crate) fn new(policies: &str) -> Self {
        let setup = Self {
            folder: tempfile::tempdir().unwrap(),
            client: SigningKey::generate(Algorithm::Es256).unwrap(),
            ci: SigningKey::generate(Algorithm::EdDsa).unwrap(),
        };
        fs::create_dir(setup.file("policies")).unwrap();
        setup.policies(policies);
        setup.seal([7; 32]);
        setup
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn policies(&self, text: &str) {
        fs::write(self.file("policies/test.cedar"), text).unwrap();
    }

    pub(crate) fn seal(&self, key: [u8; 32]) {
        fs::write(self.file("sealing-key"), base64url::encode(key)).unwrap();
    }

    /// The configuration, under this issuer, with further settings of `listen` and further sections.
    fn config(&self, issuer: &str, listen: &str, rest: &str) -> PathBuf {
        let keys = |key: &SigningKey| json!({ "keys": [key.public_jwk()] });
        let text = format!(
            "issuer: {issuer}\ntrust_domain: test.example\n\
             listen: {{ public: \"127.0.0.1:0\", admin: \"127.0.0.1:0\", socket: {folder}/attest.sock, admin_socket: {folder}/admin.sock, {listen} }}\n\
             store: {{ sqlite: {folder}/broker.db, sealing_key: \"${{file:{folder}/sealing-key}}\" }}\n\
             trust_providers:\n\
             \x20 - {{ name: local, unix: {{}}, workload: '\"local/uid/\" + string(attested.uid)' }}\n\
             \x20 - {{ name: ci, oidc: {{ issuer: {CI}, keys: {{ jwks: {ci} }}, replay: key_bound }}, workload: '\"ci/\" + path(attested.subject)' }}\n\
             clients: [{{ client_id: batch, jwks: {client} }}]\n\
             policies: {folder}/policies\n\
             resources:\n\
             \x20 - {{ name: notes, audience: \"https://notes.test\", scopes: [\"notes:read\", \"notes:write\"], default_scopes: [\"notes:read\"], binding: bearer_allowed }}\n\
             \x20 - {{ name: orders, audience: \"https://orders.test\", scopes: [\"orders:read\"], default_scopes: [\"orders:read\"], token_ttl: 10m }}\n\
             {rest}",
            folder = self.folder.path().display(),
            ci = keys(&self.ci),
            client = keys(&self.client),
        );
        let path = self.file("broker.yaml");
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) async fn start(&self) -> Running {
        self.try_start("http://127.0.0.1:0", "").await.unwrap()
    }

    pub(crate) async fn try_start(&self, issuer: &str, rest: &str) -> Result<Running, StartError> {
        self.run(&self.config(issuer, "", rest)).await
    }

    /// Starts with further settings of the section `listen`.
    pub(crate) async fn try_start_listening(&self, listen: &str) -> Result<Running, StartError> {
        self.run(&self.config("http://127.0.0.1:0", listen, "")).await
    }

    /// What `config validate` does.
    pub(crate) async fn rehearse(&self) -> Result<(), StartError> {
        let config = self.config("http://127.0.0.1:0", "", "");
        App::new(Plan::load(&config, &Environment::empty()).unwrap(), None).rehearse().await
    }

    /// What is said about a configuration that is refused; nothing about a good one.
    pub(crate) fn refused(&self, issuer: &str, rest: &str) -> String {
        let plan = Plan::load(&self.config(issuer, "", rest), &Environment::empty());
        plan.map_or_else(|errors| errors.to_string(), |_| String::new())
    }

    async fn run(&self, config: &Path) -> Result<Running, StartError> {
        let plan = Plan::load(config, &Environment::empty()).unwrap();
        let readiness = Readiness::new();
        let lifecycle = Lifecycle::new(Duration::from_secs(5)).with_readiness(readiness.clone());
        let started = App::new(plan, Some(self.file("ready.json"))).start(&lifecycle, &readiness).await;
        match started {
            Ok(addresses) => Ok(Running { addresses, lifecycle }),
            Err(error) => {
                lifecycle.shutdown();
                lifecycle.run().await;
                Err(error)
            }
        }
    }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.lifecycle.shutdown();
        self.lifecycle.run().await;
    }

    pub(crate) fn reload(&self) {
        self.lifecycle.request_reload();
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.addresses.public)).unwrap()
    }

    pub(crate) async fn get(&self, path: &str, headers: HeaderMap) -> Answer {
        answer(tcp().get(&self.url(path), headers).await.unwrap())
    }

    /// Health and metrics.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let url = Url::parse(&format!("http://{}{path}", self.addresses.admin)).unwrap();
        let fetched = tcp().get(&url, HeaderMap::new()).await.unwrap();
        (fetched.status.as_u16(), String::from_utf8(fetched.body.to_vec()).unwrap())
    }

    /// Asks for a token on the TCP port.
    pub(crate) async fn ask(&self, fields: &[(&str, &str)], proof: Option<&str>) -> Answer {
        self.post(&tcp(), fields, proof).await
    }

    /// Asks for a token on the TCP port, as a proxy would that passes this on.
    pub(crate) async fn ask_through(&self, fields: &[(&str, &str)], forwarded: &str) -> Answer {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-forwarded-for"),
            HeaderValue::from_str(forwarded).unwrap(),
        )]);
        let fields = [&[("grant_type", "client_credentials")], fields].concat();
        answer(tcp().post_form(&self.url("/oauth2/token"), &fields, headers).await.unwrap())
    }

    /// Asks for a token on the attestation socket.
    pub(crate) async fn ask_local(&self, fields: &[(&str, &str)], proof: Option<&str>) -> Answer {
        let socket = self.addresses.socket.clone().unwrap();
        self.post(&unix(&socket), fields, proof).await
    }

    async fn post(&self, client: &GuardedClient, fields: &[(&str, &str)], proof: Option<&str>) -> Answer {
        let grant = [("grant_type", "client_credentials")];
        let mut headers = HeaderMap::new();
        if let Some(proof) = proof {
            headers.insert("dpop", HeaderValue::from_str(proof).unwrap());
        }
        let fields = [&grant, fields].concat();
        answer(client.post_form(&self.url("/oauth2/token"), &fields, headers).await.unwrap())
    }

    /// A decision on the admin socket.
    pub(crate) async fn decision(&self, id: &str) -> Answer {
        let socket = self.addresses.admin_socket.clone().unwrap();
        let url = self.url(&format!("/v1/decisions/{id}"));
        answer(unix(&socket).get(&url, HeaderMap::new()).await.unwrap())
    }

    /// A JWT for us that lives this long.
    pub(crate) fn jwt(&self, key: &SigningKey, issuer: &str, subject: &str, seconds: u64) -> String {
        sign(&self.claims(issuer, subject, seconds), TokenType::Jwt, key).unwrap().expose().to_owned()
    }

    /// The same, naming somebody who acts for its subject.
    pub(crate) fn delegated_jwt(&self, key: &SigningKey, issuer: &str, subject: &str) -> String {
        let actor = Actor { subject: Subject::parse("somebody").unwrap(), issuer: None, earlier: None };
        let claims = Claims { actor: Some(actor), ..self.claims(issuer, subject, 60) };
        sign(&claims, TokenType::Jwt, key).unwrap().expose().to_owned()
    }

    fn claims(&self, issuer: &str, subject: &str, seconds: u64) -> Claims {
        let expires_at = now().saturating_add(Duration::from_secs(seconds));
        let audience = Audience::parse(self.addresses.issuer.as_str()).unwrap();
        let (issuer, subject) = (Issuer::parse(issuer).unwrap(), Subject::parse(subject).unwrap());
        Claims {
            issued_at: Some(now()),
            token_id: Some(base64url::encode(random_bytes::<16>().unwrap()).parse().unwrap()),
            ..Claims::new(issuer, subject, audience, expires_at)
        }
    }

    pub(crate) fn prove(&self, key: &ProofKey) -> String {
        let target_uri = self.addresses.issuer.join("/oauth2/token");
        let request =
            ProofRequest { method: "POST", target_uri: &target_uri, access_token: None, nonce: None };
        key.prove(&request, now()).unwrap()
    }
}

fn tcp() -> GuardedClient {
    GuardedClient::builder().addresses(AddressPolicy::public().allow_loopback()).build().unwrap()
}

fn unix(socket: &Path) -> GuardedClient {
    GuardedClient::builder().unix_socket(socket).build().unwrap()
}

fn answer(fetched: symbolon_http::client::Fetched) -> Answer {
    Answer {
        status: fetched.status.as_u16(),
        headers: fetched.headers,
        body: serde_json::from_slice(&fetched.body).unwrap_or(Value::Null),
    }
}

/// The claims of an issued token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    serde_json::from_slice(&base64url::decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

pub(crate) fn proof_key() -> ProofKey {
    ProofKey::generate(Algorithm::Es256).unwrap()
}

/// Waits until `holds` does; the broker works while we look.
pub(crate) async fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
}
