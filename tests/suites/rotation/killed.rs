//! `kill -9` whenever the keys have just changed: one key of each algorithm signs, and no valid token loses its key.
//! Not here: tokens without a record (`crash.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use symbolon_e2e::http::Call;
use symbolon_e2e::machine::{now, soak};
use symbolon_e2e::process::wait_for;
use symbolon_e2e::ring::{ALGORITHMS, Ring, key_id};

const TOKEN_SECONDS: u64 = 60;
const KILLS_SHORT: usize = 4;
const KILLS_LONG: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_signs_after_a_kill_at_any_change() {
    let mut ring = Ring::start(TOKEN_SECONDS, "rotate_every: 8s, lead: 2s, retain: 10s").await;
    let mut tokens: BTreeMap<String, u64> = BTreeMap::new();
    for kill in 0..if soak() { KILLS_LONG } else { KILLS_SHORT } {
        for algorithm in ALGORITHMS {
            tokens.insert(key_id(&ring.token(algorithm).await), now() + TOKEN_SECONDS - 2);
        }
        let before = tag(&ring).await;
        wait_for("the keys change", Duration::from_secs(30), async || tag(&ring).await != before).await;
        ring.broker.process.kill();
        ring.broker.restart().await;
        let published = ring.published().await;
        let lost: Vec<&String> = tokens
            .iter()
            .filter(|(key, valid_until)| now() < **valid_until && !published.contains(*key))
            .map(|(key, _)| key)
            .collect();
        assert!(lost.is_empty(), "kill {kill}: valid tokens have no key: {lost:?}");
        let keys = ring.keys().await;
        for algorithm in ALGORITHMS {
            let of = |state: &str| {
                keys.iter().filter(|key| key["algorithm"] == algorithm && key["state"] == state).count()
            };
            assert!(of("active") == 1 && of("published") <= 1, "kill {kill}: {keys:?}");
        }
    }
    ring.broker.process.stop(Signal::TERM).await;
    check_store(&ring).await;
}

/// The keys are what their records say: no change without its record, no record without its change.
async fn check_store(ring: &Ring) {
    let url = format!("sqlite://{}", ring.broker.folder.path().join("broker.db").display());
    let mut store = SqliteConnection::connect(&url).await.unwrap();
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT line FROM audit ORDER BY seq").fetch_all(&mut store).await.unwrap();
    let mut recorded: BTreeMap<String, &str> = BTreeMap::new();
    for line in &lines {
        let record: Value = serde_json::from_str(line).unwrap();
        let Some(key) = record["details"]["key"].as_str().map(str::to_owned) else { continue };
        match record["event.name"].as_str().unwrap() {
            "key.published" => assert!(recorded.insert(key, "published").is_none()),
            "key.activated" => assert!(matches!(recorded.insert(key, "active"), None | Some("published"))),
            "key.retired" => assert_eq!(recorded.insert(key, "retired"), Some("active")),
            "key.removed" => assert_eq!(recorded.remove(&key), Some("retired")),
            other => panic!("{other}"),
        }
    }
    let rows = sqlx::query("SELECT key_id, activated_at, retired_at FROM signing_keys").fetch_all(&mut store);
    let kept: BTreeMap<String, &str> = rows
        .await
        .unwrap()
        .iter()
        .map(|row| {
            let state =
                match (row.get::<Option<i64>, _>("activated_at"), row.get::<Option<i64>, _>("retired_at")) {
                    (_, Some(_)) => "retired",
                    (Some(_), None) => "active",
                    (None, None) => "published",
                };
            (row.get("key_id"), state)
        })
        .collect();
    assert_eq!(kept, recorded);
    assert!(kept.len() > ALGORITHMS.len(), "nothing rotated");
}

async fn tag(ring: &Ring) -> String {
    Call::get("/.well-known/jwks.json").send(ring.broker.address).await.unwrap().header("etag")
}
