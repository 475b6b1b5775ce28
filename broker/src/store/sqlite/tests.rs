mod keys;
mod uses;

use sqlx::Row;
use symbolon_audit::{Chain, Event, Outcome as AuditOutcome, Record};
use symbolon_identity::{ReasonCode, Scopes, WorkloadId};
use symbolon_jws::Thumbprint;
use symbolon_policies::{Assurance, Workload};
use symbolon_wire::Outcome;

use super::*;
use crate::attest::Method;
use crate::store::{Conflict, Keep, Use};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn record(number: u8, time: Timestamp) -> DecisionRecord {
    let workload = WorkloadId::parse("spiffe://example.com/a").unwrap();
    DecisionRecord {
        id: DecisionId::new(Origin::Broker, time, [number; 10]),
        time,
        outcome: Outcome::Allowed,
        reason: None,
        stage: None,
        detail: None,
        caller: Workload::new(workload, "p".parse().unwrap(), Assurance::Signed),
        method: Method::Oidc,
        key: None,
        source: None,
        target: "orders".to_owned(),
        resources: Vec::new(),
        exchange: None,
        scopes: Scopes::default(),
        policies: Vec::new(),
        failed_policies: Vec::new(),
        policy_set: None,
        shadow: None,
        questions: Vec::new(),
        token: None,
    }
}

fn entry(number: u8, uses: Vec<Use>) -> Entry {
    Entry::Decision { uses, record: Box::new(record(number, at(1000))) }
}

fn evidence(digest: u8) -> Use {
    Use::Evidence { digest: [digest; 32], expires_at: at(2000) }
}

/// Digests of one kind are never those of another; here they differ in half of their bytes.
fn proof(digest: u8) -> Use {
    Use::Proof {
        digest: std::array::from_fn(|place| if place < 16 { 0xFF } else { digest }),
        expires_at: at(2000),
    }
}

fn binding(digest: u8, key: Option<u8>) -> Use {
    let key = key.map(|key| Thumbprint::from_bytes([key; 32]));
    Use::Binding { digest: [digest; 32], key, expires_at: at(2000) }
}

async fn open(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("broker.db")).await.unwrap()
}

async fn lines(store: &SqliteStore) -> Vec<String> {
    sqlx::query_scalar("SELECT line FROM audit ORDER BY seq").fetch_all(&store.readers).await.unwrap()
}

#[tokio::test]
async fn evidence_is_good_once_also_within_one_batch_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let batch = vec![entry(1, vec![evidence(1)]), entry(2, vec![evidence(1)]), entry(3, vec![evidence(2)])];
    let conflict = Verdict::Conflict(Conflict::EvidenceReplayed);
    assert_eq!(store.commit(batch).await.unwrap(), [Verdict::Recorded, conflict, Verdict::Recorded]);
    drop(store);
    let store = open(&folder).await;
    assert_eq!(store.commit(vec![entry(4, vec![evidence(2)])]).await.unwrap(), [conflict]);
}

#[tokio::test]
async fn a_conflict_is_on_record_as_a_refusal_and_uses_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(vec![entry(1, vec![evidence(1), proof(1)])]).await.unwrap();
    let mut denied = record(2, at(1000));
    denied.detail = Some("policy denies it".to_owned());
    let denied = Entry::Decision { uses: vec![evidence(2), proof(1)], record: Box::new(denied) };
    let verdicts = store.commit(vec![denied]).await.unwrap();
    assert_eq!(verdicts, [Verdict::Conflict(Conflict::ProofReplayed)]);
    let kept = store.decision(&record(2, at(1000)).id).await.unwrap().unwrap();
    assert_eq!((kept.outcome, kept.reason), (Outcome::Refused, Some(ReasonCode::ProofReplayed)));
    assert_eq!(kept.detail, None, "what was written about the answer that was not given is gone");
    let again = store.commit(vec![entry(3, vec![evidence(2), proof(2)])]).await.unwrap();
    assert_eq!(again, [Verdict::Recorded]);
}

#[tokio::test]
async fn evidence_belongs_to_the_key_that_presented_it_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let mismatch = Verdict::Conflict(Conflict::EvidenceKeyMismatch);
    for (number, key, verdict) in [
        (1, Some(7), Verdict::Recorded),
        (2, Some(7), Verdict::Recorded),
        (3, Some(8), mismatch),
        (4, None, mismatch),
        (5, Some(7), Verdict::Recorded),
    ] {
        let verdicts = store.commit(vec![entry(number, vec![binding(1, key)])]).await.unwrap();
        assert_eq!(verdicts, [verdict], "{number}");
    }
    assert_eq!(store.commit(vec![entry(6, vec![binding(2, None)])]).await.unwrap(), [Verdict::Recorded]);
}

#[tokio::test]
async fn the_audit_chain_holds_across_batches_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(vec![entry(1, Vec::new()), entry(2, Vec::new())]).await.unwrap();
    drop(store);
    let store = open(&folder).await;
    let event = Record::new(Event::PoliciesReloaded, at(1001), AuditOutcome::Success);
    store.commit(vec![Entry::Event(Box::new(event)), entry(3, Vec::new())]).await.unwrap();
    let mut chain = Chain::start();
    let lines = lines(&store).await;
    assert_eq!(lines.len(), 4);
    for line in &lines {
        chain.follow(line).unwrap();
    }
}

#[tokio::test]
async fn a_batch_of_any_size_is_on_record_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    for size in [1, 15, 16, 17, 64] {
        let before = lines(&store).await.len();
        let first = u8::try_from(before).unwrap();
        let numbers: Vec<u8> = (first..).take(size).collect();
        let batch = numbers.iter().map(|number| entry(*number, vec![evidence(*number)])).collect();
        assert_eq!(store.commit(batch).await.unwrap(), vec![Verdict::Recorded; size]);
        let lines = lines(&store).await;
        assert_eq!(lines.len(), before + size);
        let mut chain = Chain::start();
        for line in &lines {
            chain.follow(line).unwrap();
        }
        for (number, line) in numbers.iter().zip(&lines[before..]) {
            let id = record(*number, at(1000)).id;
            assert!(line.contains(id.as_str()), "{line}");
            assert!(store.decision(&id).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn a_failed_batch_leaves_nothing_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(vec![entry(1, Vec::new())]).await.unwrap();
    // The same id twice breaks the batch as a full disk would.
    assert!(store.commit(vec![entry(2, vec![evidence(1)]), entry(2, Vec::new())]).await.is_err());
    assert_eq!(lines(&store).await.len(), 1);
    assert_eq!(store.commit(vec![entry(3, vec![evidence(1)])]).await.unwrap(), [Verdict::Recorded]);
    let mut chain = Chain::start();
    for line in lines(&store).await {
        chain.follow(&line).unwrap();
    }
}

#[tokio::test]
async fn what_has_expired_is_forgotten_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let old = Entry::Decision { uses: vec![binding(1, Some(1))], record: Box::new(record(1, at(10))) };
    store.commit(vec![old, entry(2, vec![evidence(1)])]).await.unwrap();
    assert_eq!(store.prune(at(2000), at(500)).await.unwrap(), 1, "the old decision only");
    assert!(store.decision(&record(1, at(10)).id).await.unwrap().is_none());
    assert!(store.decision(&record(2, at(1000)).id).await.unwrap().is_some());
    assert_eq!(store.prune(at(2301), at(500)).await.unwrap(), 2, "after the margin the rest");
    assert_eq!(lines(&store).await.len(), 2);
}

#[tokio::test]
async fn one_file_serves_one_broker_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    let store = open(&folder).await;
    assert!(matches!(SqliteStore::open(&path).await, Err(StoreError::InUse { .. })));
    store.commit(vec![entry(1, Vec::new())]).await.unwrap();
    for name in ["broker.db", "broker.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_others_can_write_is_not_opened() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder).await);
    let path = folder.path().join("broker.db");
    for (mode, is_taken) in [(0o660, false), (0o606, false), (0o644, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let opened = SqliteStore::open(&path).await;
        assert_eq!(opened.is_ok(), is_taken, "{mode:o}");
        assert!(is_taken || matches!(opened, Err(StoreError::Exposed { .. })));
    }
}

#[tokio::test]
async fn what_a_clock_that_was_ahead_made_us_forget_counts_as_used() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(vec![entry(1, vec![evidence(1)]), entry(2, vec![binding(1, Some(1))])]).await.unwrap();
    // An hour too early; then the clock is set right and the same evidence comes again.
    assert_eq!(store.prune(at(5000), at(0)).await.unwrap(), 2);
    drop(store);
    let store = open(&folder).await;
    let again = vec![
        entry(3, vec![evidence(1)]),
        entry(4, vec![proof(9)]),
        entry(5, vec![binding(1, Some(2))]),
        entry(6, vec![binding(1, None)]),
    ];
    let conflicts = [
        Conflict::EvidenceReplayed,
        Conflict::ProofReplayed,
        Conflict::EvidenceKeyMismatch,
        Conflict::EvidenceKeyMismatch,
    ];
    assert_eq!(store.commit(again).await.unwrap(), conflicts.map(Verdict::Conflict));
    let later = Use::Evidence { digest: [1; 32], expires_at: at(2001) };
    assert_eq!(store.commit(vec![entry(7, vec![later])]).await.unwrap(), [Verdict::Recorded]);
}

#[tokio::test]
async fn a_repeated_refusal_uses_up_what_it_used_and_leaves_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let repeated = |number, digest, keep| Entry::Repeated {
        uses: vec![evidence(digest)],
        record: Box::new(record(number, at(1000))),
        keep,
    };
    let conflict = Verdict::Conflict(Conflict::EvidenceReplayed);
    let refused = Keep { as_meant: false, as_conflict: true };
    let replayed = Keep { as_meant: true, as_conflict: false };
    let event = Record::new(Event::RefusalsCounted, at(1000), AuditOutcome::Denied);
    let batch = vec![
        repeated(1, 1, refused),
        repeated(2, 1, replayed),
        repeated(3, 1, refused),
        repeated(4, 2, replayed),
        Entry::Events(vec![event.clone(), event]),
    ];
    let verdicts = [Verdict::Recorded, conflict, conflict, Verdict::Recorded, Verdict::Recorded];
    assert_eq!(store.commit(batch).await.unwrap(), verdicts);
    for (number, is_kept) in [(1, false), (2, false), (3, true), (4, true)] {
        let kept = store.decision(&record(number, at(1000)).id).await.unwrap();
        assert_eq!(kept.is_some(), is_kept, "{number}");
    }
    assert_eq!(lines(&store).await.len(), 4);
    store.probe().await.unwrap();
}

#[tokio::test]
async fn a_newer_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    sqlx::query("PRAGMA user_version = 99").execute(&mut store.writer.lock().await.connection).await.unwrap();
    drop(store);
    let error = SqliteStore::open(&folder.path().join("broker.db")).await.unwrap_err();
    assert!(matches!(error, StoreError::TooNew { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_decision_is_looked_up_by_its_key_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
    for query in [
        "EXPLAIN QUERY PLAN SELECT record FROM decisions WHERE id = ?",
        "EXPLAIN QUERY PLAN SELECT record FROM decisions ORDER BY id DESC LIMIT ?",
    ] {
        let rows = sqlx::query(query).bind("x").fetch_all(&store.readers).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        assert!(!plan.is_empty() && !plan.join(" ").contains("TEMP B-TREE"), "{plan:?}");
        assert!(query.contains("ORDER") || plan[0].contains("USING PRIMARY KEY"), "{plan:?}");
    }
}
