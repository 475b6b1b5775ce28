//! Certificates that are replaced while requests run, by good pairs and by broken ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use symbolon_e2e::http::{Call, Connection, Place};
use symbolon_e2e::machine::now;
use symbolon_e2e::process::wait_for;
use tokio::task::JoinSet;

use super::{API, Guarded, ask, new_connections_see};

const LOADED: &str = "symbolon_http_certificate_reloads_total{listener=\"proxy\",outcome=\"loaded\"}";
const REFUSED: &str = "symbolon_http_certificate_reloads_total{listener=\"proxy\",outcome=\"refused\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_certificates_are_swapped() {
    let mut guarded = Guarded::start().await;
    let call = Call::get("/orders/1").bearer(&guarded.issuer.token(API));
    let authority = Arc::new(guarded.authority);
    let address = guarded.gateway.address;
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for worker in 0..6 {
        let (authority, call) = (Arc::clone(&authority), call.clone());
        let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
        tasks.spawn(async move {
            // Half of them keep one connection over all certificates, the others make one for each request.
            let stream = authority.client(&["http/1.1"]).connect(address).await.unwrap();
            let mut kept = Connection::over(stream, &Place::Tcp(address), address.to_string()).await.unwrap();
            while !done.load(Ordering::SeqCst) {
                let answer = if worker % 2 == 0 {
                    kept.send(call.clone()).await
                } else {
                    ask(&authority, address, call.clone()).await
                };
                assert_eq!(answer.unwrap().status, 200);
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    for swap in 1..=4_u64 {
        let (before, next) = (answered.load(Ordering::SeqCst), authority.pair());
        guarded.volume.publish(&next.certificate, &next.key);
        super::counts(guarded.gateway.admin, &format!("{LOADED} {swap}\n")).await;
        assert!(new_connections_see(&authority, address, &next).await, "swap {swap}");
        assert!(!new_connections_see(&authority, address, &guarded.pair).await, "swap {swap}");
        wait_for("requests run", Duration::from_secs(20), async || {
            answered.load(Ordering::SeqCst) > before + 20
        })
        .await;
    }
    done.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let metrics = super::metrics(guarded.gateway.admin).await;
    assert!(metrics.contains(&format!("{REFUSED} 0\n")), "{metrics}");
    assert!(answered.load(Ordering::SeqCst) > 80);
}

#[tokio::test]
async fn a_broken_replacement_keeps_the_old_certificate_and_is_counted() {
    let mut guarded = Guarded::start().await;
    let expiry = "symbolon_http_certificate_expiry_timestamp_seconds{listener=\"proxy\"} ";
    let metrics = guarded.metrics().await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(expiry)).unwrap();
    assert!(line.parse::<u64>().unwrap() > now(), "{line}");
    let other = guarded.authority.pair();
    let broken = [
        (other.certificate.as_str(), guarded.pair.key.as_str()),
        ("", other.key.as_str()),
        (&other.certificate, ""),
    ];
    for (count, (certificate, key)) in (1..).zip(broken) {
        guarded.volume.publish(certificate, key);
        guarded.counts(&format!("{REFUSED} {count}\n")).await;
        assert!(new_connections_see(&guarded.authority, guarded.gateway.address, &guarded.pair).await);
        assert_eq!(guarded.ask().await.unwrap().status, 200);
        assert_eq!(Call::get("/readyz").send(guarded.gateway.admin).await.unwrap().status, 200);
    }
    let log = guarded.gateway.process.log();
    for part in [
        "tls.certificate_refused",
        "tls.crt",
        "does not belong to the key",
        "holds no certificate",
        "holds no private key",
    ] {
        assert!(log.contains(part), "{part} is not in\n{log}");
    }
    guarded.volume.publish(&other.certificate, &other.key);
    guarded.counts(&format!("{LOADED} 1\n")).await;
    assert!(new_connections_see(&guarded.authority, guarded.gateway.address, &other).await);
}
