use std::time::Duration;

use symbolon_daemon::{Lifecycle, Readiness, Registry};
use tempfile::TempDir;

use super::*;
use crate::store::{LedgerMetrics, SqliteStore, Use};

const NOW: u64 = 1_800_000_000;

struct Fixture {
    pins: Pins,
    pod: PodName,
    workload: WorkloadId,
    lifecycle: Lifecycle,
    _folder: TempDir,
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn key() -> Thumbprint {
    symbolon_jws::SigningKey::generate(symbolon_jws::Algorithm::Es256).unwrap().thumbprint()
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&folder.path().join("broker.db")).await.unwrap());
        let lifecycle = Lifecycle::new(Duration::from_secs(1));
        let metrics = LedgerMetrics::register(&mut Registry::new());
        let ledger = Ledger::start(Arc::clone(&store), metrics, &lifecycle, &Readiness::new());
        let revocations = Arc::new(Revocations::open(&*store, at(NOW)).await.unwrap());
        Self {
            pins: Pins { store, ledger, revocations },
            pod: PodName { provider: ProviderName::parse("prod").unwrap(), uid: "u1".to_owned() },
            workload: WorkloadId::parse("spiffe://example.com/prod/cart").unwrap(),
            lifecycle,
            _folder: folder,
        }
    }

    async fn admit(&self, key: Thumbprint, started: Option<u64>, now: u64) -> Result<bool, PinError> {
        self.pins.admit(&self.pod, (key, started.map(at)), &self.workload, at(now)).await
    }

    /// What an answer to this key puts on record, with a token that ends then or without one.
    async fn hold(&self, key: Thumbprint, seen_at: u64, tokens_until: Option<u64>) -> Verdict {
        let decision = DecisionId::new(symbolon_identity::Origin::Broker, at(seen_at), [7; 10]);
        let grant = tokens_until.map(|until| PodGrant { asked: [7; 32], decision, until: at(until) });
        let pin = Use::Pin { pod: self.pod.clone(), key, seen_at: at(seen_at), grant };
        self.pins.ledger.record(Entry::Uses(vec![pin])).await.unwrap()
    }

    async fn end(self) {
        self.lifecycle.shutdown();
        self.lifecycle.run().await;
    }
}

#[tokio::test]
async fn a_key_is_its_pods_for_a_while_also_if_it_got_no_token() {
    let fixture = Fixture::start().await;
    let (first, other) = (key(), key());
    assert!(matches!(fixture.admit(first, None, NOW).await, Ok(false)));
    assert_eq!(fixture.hold(first, NOW, None).await, Verdict::Recorded);
    assert!(matches!(fixture.admit(other, None, NOW + 299).await, Err(PinError::OtherKey)));
    assert!(matches!(fixture.admit(other, None, NOW + 300).await, Ok(true)), "the lease is over");
    assert!(
        matches!(fixture.admit(first, None, NOW + 301).await, Err(PinError::OtherKey)),
        "and is the other's"
    );
    fixture.end().await;
}

#[tokio::test]
async fn one_restart_changes_the_key_once_also_if_the_nodes_clock_is_ahead() {
    let fixture = Fixture::start().await;
    let (first, other) = (key(), key());
    fixture.hold(first, NOW, Some(NOW + 300)).await;
    assert!(
        matches!(fixture.admit(other, Some(NOW), NOW + 1).await, Err(PinError::OtherKey)),
        "not restarted since"
    );
    assert!(matches!(fixture.admit(other, Some(NOW + 60), NOW + 1).await, Ok(true)));
    assert!(matches!(fixture.admit(first, Some(NOW + 60), NOW + 2).await, Err(PinError::OtherKey)));
    assert_eq!(
        fixture.hold(first, NOW + 2, Some(NOW + 300)).await,
        Verdict::Conflict(crate::store::Conflict::EvidenceKeyMismatch)
    );
    let revoked = fixture.pins.revocations.all();
    assert_eq!((revoked.len(), revoked[0].revocation.value.as_str()), (1, first.to_string().as_str()));
    fixture.end().await;
}

#[tokio::test]
async fn what_a_pod_that_ended_got_is_revoked_once_and_what_it_gets_after_that_again() {
    let fixture = Fixture::start().await;
    let first = key();
    fixture.hold(first, NOW, Some(NOW + 300)).await;
    for round in 0..3 {
        fixture.pins.revoke(&fixture.pod, Because::PodGone, at(NOW + round)).await.unwrap();
    }
    assert_eq!(*fixture.pins.revocations.last().borrow(), 1, "one place in the feed");
    // Its last request was under way when it ended.
    fixture.hold(first, NOW + 2, Some(NOW + 302)).await;
    fixture.pins.revoke(&fixture.pod, Because::PodGone, at(NOW + 3)).await.unwrap();
    assert_eq!(*fixture.pins.revocations.last().borrow(), 2);
    fixture.end().await;
}

/// One commit with all of these, in their order.
async fn commit(fixture: &Fixture, entries: Vec<Entry>) -> Vec<Verdict> {
    let verdicts = fixture.pins.store.commit(entries).await.unwrap();
    fixture.pins.revocations.follow(&*fixture.pins.store, at(NOW)).await.unwrap();
    verdicts
}

fn held(pod: &PodName, key: Thumbprint, seen_at: u64, until: u64) -> Entry {
    let decision = DecisionId::new(symbolon_identity::Origin::Broker, at(seen_at), [9; 10]);
    let grant = Some(PodGrant { asked: [9; 32], decision, until: at(until) });
    Entry::Uses(vec![Use::Pin { pod: pod.clone(), key, seen_at: at(seen_at), grant }])
}

#[tokio::test]
async fn a_token_of_the_last_moment_ends_with_its_pod() {
    let fixture = Fixture::start().await;
    let first = key();
    fixture.hold(first, NOW, Some(NOW + 20)).await;
    // A renewal is put on record after somebody looked at what the pod has, and before that is taken back.
    let revoked = Entry::PodRevoked { pod: fixture.pod.clone(), because: Because::PodGone, now: at(NOW) };
    commit(&fixture, vec![held(&fixture.pod, first, NOW, NOW + 3600), revoked]).await;
    let revoked = fixture.pins.revocations.all();
    assert_eq!((revoked.len(), revoked[0].revocation.until), (1, at(NOW + 3600)));
    fixture.end().await;
}

#[tokio::test]
async fn what_an_operator_blocked_stays_blocked_when_the_pod_ends() {
    let fixture = Fixture::start().await;
    let first = key();
    fixture.hold(first, NOW, Some(NOW + 300)).await;
    let blocked = NewRevocation {
        revocation: Revocation {
            kind: RevocationKind::Jkt,
            value: first.to_string(),
            revoked_before: at(NOW + 9),
            until: at(NOW + 9_000),
        },
        blocks_until: Some(at(NOW + 8_000)),
    };
    let record = Box::new(Record::new(Event::RevocationChanged, at(NOW), Outcome::Success));
    let order = Entry::Revocation { uses: Vec::new(), revocations: vec![blocked], record };
    let revoked = Entry::PodRevoked { pod: fixture.pod.clone(), because: Because::PodGone, now: at(NOW + 1) };
    commit(&fixture, vec![order, revoked]).await;
    let revoked = fixture.pins.revocations.all();
    let standing = &revoked[0];
    assert_eq!((revoked.len(), standing.blocks_until), (1, Some(at(NOW + 8_000))));
    assert_eq!(
        (standing.revocation.revoked_before, standing.revocation.until),
        (at(NOW + 9), at(NOW + 9_000))
    );
    fixture.end().await;
}

#[tokio::test]
async fn a_key_that_was_proved_a_moment_ago_does_not_make_room() {
    let fixture = Fixture::start().await;
    let (first, other) = (key(), key());
    fixture.hold(first, NOW, Some(NOW + 300)).await;
    let repin =
        Repin { pod: fixture.pod.clone(), before: first, after: other, started: None, now: at(NOW + 300) };
    let record = || Box::new(Record::new(Event::KeyRepinned, at(NOW + 300), Outcome::Success));
    let change = Entry::Repin { repin: repin.clone(), record: record() };
    // The owner is back when its lease is just over, and first.
    let verdicts = commit(&fixture, vec![held(&fixture.pod, first, NOW + 300, NOW + 600), change]).await;
    let mismatch = Verdict::Conflict(crate::store::Conflict::EvidenceKeyMismatch);
    assert_eq!(verdicts, [Verdict::Recorded, mismatch]);
    // A token that was put on record in time is taken back with the key.
    let later = Repin { now: at(NOW + 900), ..repin };
    let last = held(&fixture.pod, first, NOW + 300, NOW + 950);
    let refused = commit(&fixture, vec![last, Entry::Repin { repin: later, record: record() }]).await;
    assert_eq!(refused, [Verdict::Recorded, mismatch], "it is held for as long as its token");
    fixture.end().await;
}
