//! A revoked key: its tokens are refused within five seconds, and tokens of the fresh key pass.
//! Not here: the revocation feed; this is what a gateway does that only refreshes its keys.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Call, Connection, Place};
use symbolon_e2e::process::wait_for;
use symbolon_e2e::ring::{Ring, audience, key_id};
use tokio::task::JoinSet;
use tokio::time::Instant;

const BAR: Duration = Duration::from_secs(5);
const REVOCATIONS: usize = 10;
const WORKERS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_revoked_key_are_refused_and_those_of_the_fresh_one_pass() {
    let ring = Ring::start(300, "rotate_every: 1h, lead: 2s, retain: 1h").await;
    let api = Api::start().await;
    let gateway = super::gateway(&ring, &api).await;
    for algorithm in ["ES256", "RS256"] {
        let call = async |token: &str| {
            let call = Call::get(&format!("/{algorithm}/1")).bearer(token);
            call.send(gateway.address).await.unwrap()
        };
        let stolen = ring.token(algorithm).await;
        // Twice: the second time from the gateway's cache of verified tokens.
        for _ in 0..2 {
            assert_eq!(call(&stolen).await.status, 200);
        }
        let key = key_id(&stolen);
        let output = ring.symbolon_key(&["revoke", &key, "-o", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let revoked = Instant::now();
        assert!(!ring.published().await.contains(&key), "it leaves the key set at once");
        let fresh = ring.token(algorithm).await;
        assert_ne!(key_id(&fresh), key);
        // Until a fetch has succeeded since the token came, its key might be a new one: that is 503.
        wait_for("the revoked key opens nothing", BAR, async || {
            let answer = call(&stolen).await;
            (answer.status, answer.text("code").as_str()) == (401, "unknown_kid")
        })
        .await;
        wait_for("the fresh key opens", BAR, async || call(&fresh).await.status == 200).await;
        assert!(revoked.elapsed() <= BAR, "{:?}", revoked.elapsed());
        eprintln!(
            "rotation: a revoked {algorithm} key was refused and a fresh one passed within {:?}",
            revoked.elapsed()
        );
    }
}

/// Some requests are under way at each revocation: what they get is a token of the fresh key, or "try again".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_of_a_revoked_key_is_given_to_anybody_who_asks_after_it() {
    let ring = Ring::start(300, "rotate_every: 1h, lead: 2s, retain: 1h").await;
    let (revoked, ended) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (revoked, ended, place) =
            (Arc::clone(&revoked), Arc::clone(&ended), Place::Unix(ring.broker.socket()));
        workers.spawn(async move {
            let audience = audience("ES256");
            let form = [("grant_type", "client_credentials"), ("resource", audience.as_str())];
            let mut connection = Connection::open(&place).await.unwrap();
            let mut answers = 0_usize;
            while !ended.load(Ordering::SeqCst) {
                let before: BTreeSet<String> = revoked.lock().unwrap().clone();
                let answer = connection.send(Call::form("/oauth2/token", &form)).await.unwrap();
                answers += 1;
                if answer.status == 200 {
                    let key = key_id(&answer.text("access_token"));
                    assert!(
                        !before.contains(&key),
                        "a token of a key that was revoked before it was asked for"
                    );
                } else {
                    let said = answer.text("error_description");
                    assert!(
                        answer.status == 503 && said.starts_with("token_unavailable"),
                        "{} {said}",
                        answer.status
                    );
                    assert!(!answer.header("retry-after").is_empty());
                }
            }
            answers
        });
    }
    for _ in 0..REVOCATIONS {
        let key = key_id(&ring.token("ES256").await);
        let answer = ring.admin(Call::form(&format!("/v1/keys/{key}/revoke"), &[])).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        revoked.lock().unwrap().insert(key);
    }
    ended.store(true, Ordering::SeqCst);
    assert!(workers.join_all().await.into_iter().sum::<usize>() > REVOCATIONS);
    assert_eq!(
        ring.admin(Call::get("/v1/keys")).await.json()["revoked"].as_array().unwrap().len(),
        REVOCATIONS
    );
}
