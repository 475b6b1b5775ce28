//! A revoked key: its tokens are refused within five seconds, and tokens of the fresh key pass.
//! Not here: the revocation feed; this is what a gateway does that only refreshes its keys.

use std::time::Duration;

use symbolon_e2e::api::Api;
use symbolon_e2e::http::Call;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::ring::{Ring, key_id};
use tokio::time::Instant;

const BAR: Duration = Duration::from_secs(5);

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
