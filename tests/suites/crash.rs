//! `kill -9` of the broker while it issues: no answered token without its record, and a store that opens again.
//! Not here: a full disk, or a machine that loses power.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use symbolon_e2e::http::{Call, Connection, Place};
use symbolon_e2e::issuer::{TestIssuer, decode};
use symbolon_e2e::machine::soak;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Broker;
use tokio::task::JoinSet;
use tokio::time::Instant;

const WORKERS: usize = 8;
const KILLS_SHORT: usize = 5;
const KILLS_LONG: usize = 50;
/// The bar of a restart; a debug build on a loaded machine gets some grace before the test fails.
const RESTART_BAR: Duration = Duration::from_secs(2);
const RESTART_LIMIT: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answered_token_is_without_its_record_after_kill_9() {
    let client = TestIssuer::new("client");
    // The rate limit is not the matter here.
    let limits = "limits: { requests_per_second: 1000000, burst: 1000000 }\n";
    let mut broker = Broker::start("crash", &client.jwks().to_string(), limits).await;
    let kills = if soak() { KILLS_LONG } else { KILLS_SHORT };
    let mut answered = BTreeSet::new();
    let mut restarts = Vec::new();
    for kill in 0..kills {
        let got = issue_until_killed(&mut broker, 20 + 13 * (kill % 7)).await;
        assert!(!got.is_empty(), "nothing was issued before kill {kill}");
        answered.extend(got);
        let begun = Instant::now();
        broker.restart().await;
        restarts.push(begun.elapsed());
    }
    broker.process.stop(Signal::TERM).await;
    restarts.sort();
    let (median, longest) = (restarts[restarts.len() / 2], restarts[restarts.len() - 1]);
    eprintln!(
        "{kills} kills, {} tokens answered; restart median {median:?}, longest {longest:?}",
        answered.len()
    );
    assert!(median <= RESTART_BAR && longest <= RESTART_LIMIT, "restarts take too long: {restarts:?}");
    check_store(&broker, &answered).await;
}

/// Lets workers ask for tokens, kills the broker after so many answers, and returns the answered tokens' ids.
async fn issue_until_killed(broker: &mut Broker, after: usize) -> Vec<String> {
    let answered = Arc::new(Mutex::new(Vec::new()));
    let (count, killed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (answered, count, killed) = (Arc::clone(&answered), Arc::clone(&count), Arc::clone(&killed));
        let place = Place::Unix(broker.socket());
        workers.spawn(async move {
            let Ok(mut connection) = Connection::open(&place).await else { return };
            while !killed.load(Ordering::SeqCst) {
                let form = [("grant_type", "client_credentials"), ("resource", "https://notes.test")];
                let Ok(answer) = connection.send(Call::form("/oauth2/token", &form)).await else { return };
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                answered.lock().unwrap().push(token_id(&answer.text("access_token")));
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    wait_for("tokens are issued", Duration::from_secs(20), async || count.load(Ordering::SeqCst) >= after)
        .await;
    broker.process.kill();
    killed.store(true, Ordering::SeqCst);
    workers.join_all().await;
    let mut answered = answered.lock().unwrap();
    std::mem::take(&mut answered)
}

fn token_id(token: &str) -> String {
    let claims: Value = serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

async fn check_store(broker: &Broker, answered: &BTreeSet<String>) {
    let url = format!("sqlite://{}", broker.folder.path().join("broker.db").display());
    let mut store = SqliteConnection::connect(&url).await.unwrap();
    let intact: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut store).await.unwrap();
    assert_eq!(intact, "ok");
    let rows = sqlx::query("SELECT seq, line FROM audit ORDER BY seq").fetch_all(&mut store).await.unwrap();
    let mut recorded = BTreeSet::new();
    for (index, row) in rows.iter().enumerate() {
        let seq: i64 = row.get("seq");
        let first: i64 = rows[0].get("seq");
        assert_eq!(seq, first + i64::try_from(index).unwrap(), "the audit chain has a gap");
        let line: Value = serde_json::from_str(row.get("line")).unwrap();
        collect_texts(&line, &mut recorded);
    }
    let missing: Vec<&String> = answered.iter().filter(|id| !recorded.contains(*id)).collect();
    assert!(missing.is_empty(), "{} of {} answered tokens have no record", missing.len(), answered.len());
}

/// All texts of a record, wherever they stand in it.
fn collect_texts(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            texts.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(members) => members.values().for_each(|member| collect_texts(member, texts)),
        _ => {}
    }
}
