//! `kill -9` of the broker while it issues: no answered token without its record, nothing that was answered good once
//! more, and a store that opens again.
//! Not here: a full disk, or a machine that loses power.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use symbolon_audit::Verifier;
use symbolon_e2e::http::{Answer, Call, Connection, Place};
use symbolon_e2e::issuer::{KEY_ID, TestIssuer, decode, encode, random};
use symbolon_e2e::machine::{now, soak};
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Broker;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};
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
    let client = TestIssuer::new("crash");
    // The rate limit is not the matter here.
    let limits = "limits: { requests_per_second: 1000000, burst: 1000000 }\n";
    let mut broker = Broker::start("crash", &client.jwks().to_string(), limits).await;
    let kills = if soak() { KILLS_LONG } else { KILLS_SHORT };
    let client = Arc::new(client);
    let mut answered = BTreeSet::new();
    let mut restarts = Vec::new();
    for kill in 0..kills {
        let got = issue_until_killed(&mut broker, &client, 20 + 13 * (kill % 7)).await;
        assert!(!got.is_empty(), "nothing was issued before kill {kill}");
        let begun = Instant::now();
        broker.restart().await;
        restarts.push(begun.elapsed());
        assert!(got.iter().any(|answer| answer.spent.is_some()), "no assertion was spent before kill {kill}");
        for spent in got.iter().filter_map(|answer| answer.spent.as_ref()) {
            assert_spent(&broker, &client, spent).await;
        }
        answered.extend(got.into_iter().map(|answer| answer.token_id));
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

/// A token that was answered, and what it was bought with.
struct Answered {
    token_id: String,
    spent: Option<Spent>,
}

/// An assertion and a proof, each good for one request.
struct Spent {
    assertion: String,
    proof: String,
}

impl Spent {
    fn fresh(client: &TestIssuer, url: &str, key: &ProofKey) -> Self {
        let target = format!("{url}/oauth2/token");
        let request = ProofRequest { method: "POST", target_uri: &target, access_token: None, nonce: None };
        let proof = key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap();
        Self { assertion: assertion(client, url), proof }
    }
}

fn assertion(client: &TestIssuer, url: &str) -> String {
    let claims = json!({
        "iss": client.url, "sub": client.url, "aud": url, "jti": encode(&random()), "iat": now(), "exp": now() + 300
    });
    client.sign(&json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}), &claims)
}

/// A request for `notes`; with an assertion if there is one.
fn call(assertion: Option<&str>) -> Call {
    let mut form = vec![("grant_type", "client_credentials"), ("resource", "https://notes.test")];
    if let Some(assertion) = assertion {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        form.extend([("client_assertion_type", kind), ("client_assertion", assertion)]);
    }
    Call::form("/oauth2/token", &form)
}

/// Both the assertion and the proof of an answered request are good no more.
async fn assert_spent(broker: &Broker, client: &TestIssuer, spent: &Spent) {
    let again = call(Some(&spent.assertion)).send(broker.address).await.unwrap();
    assert_eq!((again.status, reason(&again).as_str()), (401, "evidence_replayed"));
    let fresh = assertion(client, &broker.url);
    let again = call(Some(&fresh)).header("dpop", &spent.proof).send(broker.address).await.unwrap();
    assert_eq!((again.status, reason(&again).as_str()), (400, "proof_replayed"));
}

fn reason(answer: &Answer) -> String {
    answer.text("error_description").split(':').next().unwrap_or_default().to_owned()
}

/// Lets workers ask for tokens, kills the broker after so many answers, and returns what was answered. Half of the
/// workers are local programs, the others send assertions and proofs.
async fn issue_until_killed(broker: &mut Broker, client: &Arc<TestIssuer>, after: usize) -> Vec<Answered> {
    let answered = Arc::new(Mutex::new(Vec::new()));
    let (count, killed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (answered, count, killed) = (Arc::clone(&answered), Arc::clone(&count), Arc::clone(&killed));
        let (client, url) = (Arc::clone(client), broker.url.clone());
        let place = if worker % 2 == 0 { Place::Unix(broker.socket()) } else { Place::Tcp(broker.address) };
        workers.spawn(async move {
            let key = ProofKey::generate(Algorithm::Es256).unwrap();
            let Ok(mut connection) = Connection::open(&place).await else { return };
            while !killed.load(Ordering::SeqCst) {
                let spent = (worker % 2 == 1).then(|| Spent::fresh(&client, &url, &key));
                let mut call = call(spent.as_ref().map(|spent| spent.assertion.as_str()));
                if let Some(spent) = &spent {
                    call = call.header("dpop", &spent.proof);
                }
                let Ok(answer) = connection.send(call).await else { return };
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                let token_id = token_id(&answer.text("access_token"));
                answered.lock().unwrap().push(Answered { token_id, spent });
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
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT line FROM audit ORDER BY seq").fetch_all(&mut store).await.unwrap();
    let mut verifier = Verifier::new();
    let mut recorded = BTreeMap::new();
    for line in &lines {
        verifier.check(line).unwrap();
        let record: Value = serde_json::from_str(line).unwrap();
        if let (Some(token), Some(decision)) =
            (record["token"]["id"].as_str(), record["decision_id"].as_str())
        {
            recorded.insert(token.to_owned(), decision.to_owned());
        }
    }
    let summary = verifier.summary();
    assert_eq!((summary.first_sequence, summary.records), (Some(1), u64::try_from(lines.len()).unwrap()));
    let missing: Vec<&String> = answered.iter().filter(|id| !recorded.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} of {} answered tokens have no record", missing.len(), answered.len());
    for token in answered {
        let kept: Option<String> = sqlx::query_scalar("SELECT record FROM decisions WHERE id = ?")
            .bind(&recorded[token])
            .fetch_optional(&mut store)
            .await
            .unwrap();
        assert!(kept.is_some_and(|record| record.contains(token.as_str())), "a decision is missing");
    }
}
