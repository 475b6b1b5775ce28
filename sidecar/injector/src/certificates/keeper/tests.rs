//! Rotation with a clock that is told the time, against an API server that is a few lines of HTTP.
//! What a real one does with our patches is tested beside one.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use symbolon_config::HumanDuration;
use symbolon_daemon::{FixedClock, Registry};
use symbolon_http::Body;
use symbolon_http::server::{Bind, Server};

use super::*;
use symbolon_kept::ApiConfig;

const START: u64 = 1_800_000_000;

/// A Secret and a webhook configuration, with versions.
#[derive(Debug)]
struct Cluster {
    secret: Value,
    configuration: Value,
    away: bool,
    writes: Vec<String>,
    /// Raised before the next write: another replica was faster.
    overtaken: usize,
}

impl Cluster {
    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        if self.away {
            return (StatusCode::SERVICE_UNAVAILABLE, json!({ "message": "away" }));
        }
        let object = if path.contains("/secrets/") { &mut self.secret } else { &mut self.configuration };
        if *method != Method::GET && self.overtaken > 0 {
            self.overtaken -= 1;
            raise(object);
        }
        let change: Value = serde_json::from_slice(body).unwrap_or_default();
        if *method == Method::PUT {
            if change["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                return (StatusCode::CONFLICT, json!({ "message": "changed" }));
            }
            *object = change;
        } else if *method == Method::PATCH {
            let change: json_patch::Patch = serde_json::from_value(change).unwrap();
            if json_patch::patch(object, &change).is_err() {
                return (StatusCode::UNPROCESSABLE_ENTITY, json!({ "message": "test failed" }));
            }
        } else {
            return (StatusCode::OK, object.clone());
        }
        raise(object);
        self.writes.push(format!("{method} {}", path.rsplit('/').next().unwrap()));
        (StatusCode::OK, object.clone())
    }

    fn bundle(&self) -> String {
        let read = |index: usize| {
            let bundle = self.configuration["webhooks"][index]["clientConfig"]["caBundle"].as_str().unwrap();
            String::from_utf8(
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bundle).unwrap(),
            )
            .unwrap()
        };
        assert_eq!(read(0), read(1), "all webhooks have one bundle");
        read(0)
    }
}

fn raise(object: &mut Value) {
    let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
}

struct Rig {
    cluster: Arc<Mutex<Cluster>>,
    clock: Arc<FixedClock>,
    config: SelfConfig,
    api: ApiServer,
    _folder: tempfile::TempDir,
    _lifecycle: Lifecycle,
}

impl Rig {
    fn new() -> Self {
        let cluster = Arc::new(Mutex::new(Cluster {
            secret: json!({ "kind": "Secret", "metadata": { "name": "s", "resourceVersion": "1" }, "type": "Opaque" }),
            configuration: json!({
                "metadata": { "resourceVersion": "1" },
                "webhooks": [{ "clientConfig": {} }, { "clientConfig": { "service": {} } }],
            }),
            away: false,
            writes: Vec::new(),
            overtaken: 0,
        }));
        let bound = Bind::Tcp("127.0.0.1:0".parse().unwrap()).listen().unwrap();
        let server = format!("http://{}", bound.address()).parse().unwrap();
        let lifecycle = Lifecycle::new(Duration::from_secs(1));
        let shared = Arc::clone(&cluster);
        let service = tower::service_fn(move |request: Request<Body>| {
            let shared = Arc::clone(&shared);
            async move {
                let (head, body) = request.into_parts();
                assert_eq!(head.headers["authorization"], "Bearer our-token");
                let body = body.read(1 << 20, Duration::from_secs(5)).await.unwrap();
                let (status, answer) = shared.lock().unwrap().answer(&head.method, head.uri.path(), &body);
                let mut response = Response::new(Body::from(answer.to_string()));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        Server::new("api", bound).serve(service, &lifecycle);
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "our-token\n").unwrap();
        let api = ApiServer::new(ApiConfig { server, ca_file: "/nonexistent".into(), token_file });
        let config = SelfConfig {
            authority_lifetime: HumanDuration::from_secs(900),
            certificate_lifetime: HumanDuration::from_secs(90),
            settle: HumanDuration::from_secs(10),
            ..SelfConfig::default()
        };
        let clock = Arc::new(FixedClock::at(START));
        Self { cluster, clock, config, api, _folder: folder, _lifecycle: lifecycle }
    }

    fn keeper(&self) -> Keeper {
        let metrics = Metrics::register(&mut Registry::new());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Keeper::new(self.config.clone(), self.api.clone(), clock, metrics).unwrap()
    }

    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap()
    }

    async fn later(&self, seconds: u64, keeper: &mut Keeper) {
        self.clock.advance(Duration::from_secs(seconds));
        keeper.look().await;
    }
}

fn authority(keeper: &Keeper) -> &str {
    &keeper.shown.as_ref().unwrap().0
}

fn ends(keeper: &Keeper) -> u64 {
    keeper.shown.as_ref().unwrap().1.ends
}

#[tokio::test]
async fn the_first_look_fills_an_empty_secret_and_the_bundle() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    keeper.look().await;
    assert_eq!(rig.cluster().writes, ["PUT symbolon-injector-tls", "PATCH symbolon-injector"]);
    assert_eq!(rig.cluster().bundle(), authority(&keeper));
    assert!(!rig.cluster().bundle().contains("PRIVATE"));
    assert_eq!(ends(&keeper), START + 90);
    keeper.look().await;
    assert_eq!(rig.cluster().writes.len(), 2, "a second look has nothing to do");
}

#[tokio::test]
async fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    keeper.look().await;
    rig.later(59, &mut keeper).await;
    assert_eq!(ends(&keeper), START + 90);
    rig.later(1, &mut keeper).await;
    assert_eq!(ends(&keeper), START + 150);
    assert_eq!(rig.cluster().writes.len(), 2, "nobody has to be told");
}

#[tokio::test]
async fn a_new_authority_is_believed_before_it_is_shown_and_the_old_one_until_it_ends() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    keeper.look().await;
    let old = authority(&keeper).to_owned();
    rig.later(600, &mut keeper).await;
    assert!(rig.cluster().bundle().starts_with(&old) && rig.cluster().bundle().len() > old.len());
    assert_eq!(authority(&keeper), old, "not before it has settled");
    rig.later(9, &mut keeper).await;
    assert_eq!(authority(&keeper), old);
    rig.later(1, &mut keeper).await;
    let new = authority(&keeper).to_owned();
    assert_ne!(new, old);
    rig.later(289, &mut keeper).await;
    assert!(rig.cluster().bundle().contains(&old), "a replica without contact may still show it");
    rig.later(1, &mut keeper).await;
    assert_eq!(rig.cluster().bundle(), new);
}

#[tokio::test]
async fn a_replica_that_starts_meanwhile_shows_the_authority_that_was_there_first() {
    let rig = Rig::new();
    let mut first = rig.keeper();
    first.look().await;
    rig.later(600, &mut first).await;
    let mut second = rig.keeper();
    second.look().await;
    assert_eq!(authority(&second), authority(&first));
    rig.later(10, &mut second).await;
    first.look().await;
    assert_eq!(authority(&second), authority(&first));
    assert!(rig.cluster().bundle().ends_with(authority(&second)));
}

#[tokio::test]
async fn replicas_that_begin_at_once_agree_on_one_authority() {
    let rig = Rig::new();
    let (mut one, mut two, mut three) = (rig.keeper(), rig.keeper(), rig.keeper());
    tokio::join!(one.look(), two.look(), three.look());
    for keeper in [&one, &two, &three] {
        assert_eq!(authority(keeper), rig.cluster().bundle());
    }
    assert_eq!(rig.cluster().writes.iter().filter(|write| write.starts_with("PUT")).count(), 1);
}

#[tokio::test]
async fn whoever_was_overtaken_reads_again() {
    let rig = Rig::new();
    rig.cluster().overtaken = 3;
    let mut keeper = rig.keeper();
    keeper.look().await;
    assert_eq!(rig.cluster().bundle(), authority(&keeper));
    rig.cluster().overtaken = 100;
    rig.later(600, &mut keeper).await;
    assert_eq!(keeper.metrics.api_failures.get(), 1, "it gives up for this time");
    assert!(keeper.shown.is_some());
}

#[tokio::test]
async fn with_the_api_server_away_it_goes_on_with_what_it_has() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    rig.cluster().away = true;
    keeper.look().await;
    assert!(keeper.shown.is_none(), "nobody believes us yet");
    rig.cluster().away = false;
    keeper.look().await;
    rig.cluster().away = true;
    rig.later(89, &mut keeper).await;
    assert_eq!(ends(&keeper), START + 179, "a new certificate needs nobody else");
    assert_eq!(keeper.metrics.api_failures.get(), 2);
}

#[tokio::test]
async fn a_bundle_that_somebody_emptied_and_a_secret_with_garbage_are_mended() {
    let rig = Rig::new();
    let mut keeper = rig.keeper();
    keeper.look().await;
    rig.cluster().configuration["webhooks"][1]["clientConfig"] = json!({ "caBundle": "" });
    rig.later(1, &mut keeper).await;
    assert_eq!(rig.cluster().bundle(), authority(&keeper));
    rig.cluster().secret["data"] = json!({ "authorities.json": "bm9uc2Vuc2U=" });
    rig.later(1, &mut keeper).await;
    assert_eq!(rig.cluster().bundle(), authority(&keeper));
}

#[test]
fn a_certificate_never_outlives_its_authority() {
    let authority = Authority::make(OWNER, START, Duration::from_secs(100)).unwrap();
    let names = ["symbolon-injector.symbolon-system.svc".to_owned(), "127.0.0.1".to_owned()];
    let leaf = authority.issue(&names, START + 50, Duration::from_secs(90)).unwrap();
    assert_eq!(leaf.ends, START + 100);
    assert!(!format!("{authority:?}{leaf:?}").contains("PRIVATE"));
}
