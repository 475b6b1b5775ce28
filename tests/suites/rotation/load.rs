//! Rotation of every key each five seconds under load: each token opens its route until it expires.
//! Not here: what happens to a revoked key.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::Value;
use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Call, Connection, Place};
use symbolon_e2e::issuer::decode;
use symbolon_e2e::machine::{now, soak};
use symbolon_e2e::ring::{ALGORITHMS, Ring, key_id, token};
use tokio::task::JoinSet;
use tokio::time::Instant;

const WORKERS: usize = 8;
/// Every so many calls a worker gets a new token.
const FRESH: usize = 8;
const TOKEN_SECONDS: u64 = 20;
const SHORT: Duration = Duration::from_secs(15);
const LONG: Duration = Duration::from_mins(2);
/// The bar of the long version.
const CALLS: usize = 30_000;

/// What a worker saw.
#[derive(Default)]
struct Seen {
    calls: usize,
    failures: Vec<String>,
    keys: BTreeMap<&'static str, BTreeSet<String>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_every_key_rotates_each_five_seconds() {
    let ring = Ring::start(TOKEN_SECONDS, "rotate_every: 5s, lead: 3s, retain: 5s").await;
    let api = Api::start().await;
    let gateway = super::gateway(&ring, &api).await;
    let end = Instant::now() + if soak() { LONG } else { SHORT };
    let (broker, gateway) = (Place::Unix(ring.broker.socket()), Place::Tcp(gateway.address));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(broker.clone(), gateway.clone(), end));
    }
    let mut all = Seen::default();
    for seen in workers.join_all().await {
        all.calls += seen.calls;
        all.failures.extend(seen.failures);
        for (algorithm, keys) in seen.keys {
            all.keys.entry(algorithm).or_default().extend(keys);
        }
    }
    let keys: Vec<String> = all.keys.iter().map(|(name, keys)| format!("{name} {}", keys.len())).collect();
    let (calls, failed) = (all.calls, all.failures.len());
    eprintln!("rotation: {failed} of {calls} calls failed; keys that signed: {}", keys.join(", "));
    assert!(all.failures.is_empty(), "{failed} of {calls} failed, the first: {}", all.failures[0]);
    let rotations = if soak() { 20 } else { 2 };
    assert!(all.keys.values().all(|keys| keys.len() > rotations), "{keys:?}");
    assert!(calls >= if soak() { CALLS } else { CALLS / 100 }, "only {calls} calls");
    assert_eq!(api.requests(), u64::try_from(calls).unwrap());
}

/// Calls with tokens of every age until the end.
async fn work(broker: Place, gateway: Place, end: Instant) -> Seen {
    let (mut broker, mut gateway) =
        (Connection::open(&broker).await.unwrap(), Connection::open(&gateway).await.unwrap());
    let mut seen = Seen::default();
    let mut held: VecDeque<(&'static str, String, u64)> = VecDeque::new();
    while Instant::now() < end {
        if seen.calls.is_multiple_of(FRESH) {
            let algorithm = ALGORITHMS[seen.calls / FRESH % ALGORITHMS.len()];
            let token = token(&mut broker, algorithm).await;
            seen.keys.entry(algorithm).or_default().insert(key_id(&token));
            held.push_back((algorithm, token.clone(), expiry(&token)));
        }
        // A second is enough for one call, also on a machine that is busy with other things.
        held.retain(|(_, _, expires_at)| now() + 1 < *expires_at);
        let Some((algorithm, token, expires_at)) = held.pop_front() else { continue };
        let answer = gateway.send(Call::get(&format!("/{algorithm}/1")).bearer(&token)).await;
        seen.calls += 1;
        match answer {
            Ok(answer) if answer.status == 200 => {}
            // The call took longer than the rest of the token's life.
            Ok(answer) if answer.text("code") == "expired" && now() >= expires_at => {}
            other => seen.failures.push(format!("{algorithm} {}: {other:?}", key_id(&token))),
        }
        held.push_back((algorithm, token, expires_at));
    }
    seen
}

fn expiry(token: &str) -> u64 {
    let claims: Value = serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap();
    claims["exp"].as_u64().unwrap()
}
