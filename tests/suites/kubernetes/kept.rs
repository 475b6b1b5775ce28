//! A broker that makes what it needs itself and keeps it in the chart's objects: its sealing key, once; its certificate, again and again.
//! Not here: what the chart sets up around it (`deploy`).

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use symbolon_e2e::certificates::TlsClient;
use symbolon_e2e::http::{Answer, Call, Connection, Place};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::kubernetes::Cluster;
use symbolon_e2e::kubernetes::objects::Bound;
use symbolon_e2e::process::{Process, wait_for};
use symbolon_e2e::programs::Broker;
use tokio::time::Instant;

use crate::deploy::manifests::Manifests;

const SYSTEM: &str = "symbolon-system";
const SECRET: &str = "/api/v1/namespaces/symbolon-system/secrets/symbolon-broker-kept";
const TOLD: &str = "/api/v1/namespaces/symbolon-system/configmaps/symbolon-broker-ca";
const SOON: Duration = Duration::from_secs(30);

/// A broker with the chart's account and objects, and nothing else that it could start with.
struct Keeping {
    cluster: Cluster,
    broker: Broker,
}

impl Keeping {
    /// `lives` are further keys of `kept.certificate`.
    async fn start(name: &str, lives: &str) -> Self {
        let cluster = Cluster::start(name).await;
        cluster.admin().create("/api/v1/namespaces", &json!({"metadata": {"name": SYSTEM}})).await;
        let chart = Manifests::rendered("default");
        for kind in ["ServiceAccount", "Secret", "Role", "RoleBinding"] {
            for object in chart.of_kind(kind) {
                cluster.apply(&object.to_string()).await;
            }
        }
        cluster.apply(&chart.find("ConfigMap", "symbolon-broker-ca").unwrap().to_string()).await;
        let token = cluster.token_request((SYSTEM, "symbolon-broker"), &[], 3600, Bound::Account).await;
        let token = cluster.write("broker.token", &token);
        let client = TestIssuer::new("tester").jwks().to_string();
        let mut broker = Broker::start_clients(&[("tester", &client)], "", "").await;
        assert_eq!(broker.process.stop(Signal::TERM).await, Some(0));
        let folder = broker.folder.path();
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("broker.db") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        let file = folder.join("broker.yaml");
        let text = fs::read_to_string(&file).unwrap().replacen("issuer: http:", "issuer: https:", 1);
        let key = format!(", sealing_key: \"${{file:{}/sealing-key}}\"", folder.display());
        assert!(text.contains(&key), "{text}");
        let text = text.replacen(&key, "", 1);
        let kept = format!(
            "kept: {{ namespace: {SYSTEM}, secret: symbolon-broker-kept, certificate: {{ config_map: symbolon-broker-ca, names: [\"127.0.0.1\"]{lives} }},\n\
             \x20 api: {{ server: \"{server}\", ca_file: \"{ca}\", token_file: \"{token}\" }} }}\n",
            server = cluster.server(),
            ca = cluster.ca_file().display(),
            token = token.display(),
        );
        fs::write(&file, text + &kept).unwrap();
        broker.url = broker.url.replacen("http:", "https:", 1);
        broker.restart().await;
        Self { cluster, broker }
    }

    async fn sealing_key(&self) -> String {
        let secret = self.cluster.admin().get(SECRET).await;
        let text = STANDARD.decode(secret["data"]["sealing-key"].as_str().unwrap()).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Who vouches for the broker, as it tells everybody.
    async fn told(&self) -> String {
        self.cluster.admin().get(TOLD).await["data"]["ca.crt"].as_str().unwrap().to_owned()
    }

    /// A request on a connection of its own by a client that believes these authorities.
    async fn ask(&self, bundle: &str, path: &str) -> Result<Answer, String> {
        let address = self.broker.address;
        let stream = TlsClient::trusting(bundle.as_bytes(), &["http/1.1"]).connect(address).await?;
        Connection::over(stream, &Place::Tcp(address), address.to_string()).await?.send(Call::get(path)).await
    }

    async fn keys(&self) -> Value {
        self.ask(&self.told().await, "/.well-known/jwks.json").await.unwrap().json()
    }

    /// Starts the broker, which should not start, and returns what it says.
    async fn refuses_to_start(&self) -> String {
        let config = self.broker.folder.path().join("broker.yaml");
        let mut process = Process::program("symbolon-broker", "serve", &config);
        assert_ne!(process.ended(SOON).await.unwrap(), 0);
        process.log()
    }

    async fn keep(&self, sealing_key: Value) {
        self.cluster.admin().patch(SECRET, &json!({"data": {"sealing-key": sealing_key}})).await;
    }
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_sealing_key_is_made_once_and_never_again_whatever_becomes_of_it() {
    let mut keeping = Keeping::start("kept", "").await;
    let (key, told, keys) = (keeping.sealing_key().await, keeping.told().await, keeping.keys().await);
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{} bytes", key.len());

    keeping.broker.process.kill();
    keeping.broker.restart().await;
    assert_eq!(keeping.sealing_key().await, key);
    assert_eq!((keeping.told().await, keeping.keys().await), (told.clone(), keys.clone()));

    keeping.broker.process.kill();
    keeping.keep(Value::Null).await;
    let said = keeping.refuses_to_start().await;
    assert!(said.contains("put it back from your copy"), "{said}");
    assert!(keeping.cluster.admin().get(SECRET).await["data"].get("sealing-key").is_none(), "none is made");
    for (wrong, says) in [("0".repeat(64), "does not open"), ("short".to_owned(), "is not one")] {
        keeping.keep(json!(STANDARD.encode(&wrong))).await;
        let said = keeping.refuses_to_start().await;
        assert!(said.contains(says) && !said.contains(&wrong), "{said}");
        assert_eq!(keeping.sealing_key().await, wrong, "it is not replaced");
    }
    keeping.keep(json!(STANDARD.encode(&key))).await;
    keeping.broker.restart().await;
    assert_eq!((keeping.told().await, keeping.keys().await), (told, keys), "nothing is lost");
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn no_call_fails_while_certificates_and_authorities_change() {
    let lives = ", authority_lifetime: 18s, settle: 3s, certificate_lifetime: 4s, interval: 500ms";
    let keeping = Keeping::start("kept", lives).await;
    let (began, mut bundles, mut calls) = (Instant::now(), Vec::new(), 0_u32);
    while bundles.len() < 5 || calls < 200 {
        assert!(began.elapsed() < Duration::from_mins(2), "{} bundles, {calls} calls", bundles.len());
        let told = keeping.told().await;
        let answer = keeping.ask(&told, "/.well-known/openid-configuration").await;
        assert_eq!(answer.unwrap_or_else(|error| panic!("after {:?}: {error}", began.elapsed())).status, 200);
        calls += 1;
        if bundles.last() != Some(&told) {
            bundles.push(told);
        }
    }
    eprintln!("{calls} calls while {} bundles were in force, in {:?}", bundles.len(), began.elapsed());
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_broker_goes_on_without_the_api_server_and_does_not_start_without_it() {
    let mut keeping = Keeping::start("kept", "").await;
    let told = keeping.told().await;
    keeping.cluster.kill();
    let answer = keeping.ask(&told, "/.well-known/openid-configuration").await.unwrap();
    assert_eq!(answer.status, 200);
    keeping.broker.process.kill();
    let said = keeping.refuses_to_start().await;
    assert!(said.contains("what is kept in the cluster cannot be had"), "{said}");
    keeping.cluster.restart().await;
    keeping.broker.restart().await;
    wait_for("it serves again", SOON, async || {
        let answer = keeping.ask(&told, "/.well-known/openid-configuration").await;
        answer.is_ok_and(|answer| answer.status == 200)
    })
    .await;
}
