use super::*;
use crate::pins::Repin;

fn pod() -> PodName {
    PodName { provider: "prod".parse().unwrap(), uid: "u1".to_owned() }
}

fn pin(key: u8) -> Use {
    Use::Pin { pod: pod(), key: Thumbprint::from_bytes([key; 32]), seen_at: at(1000), grant: None }
}

#[tokio::test]
async fn what_a_refused_entry_of_a_batch_would_have_used_is_left_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(vec![entry(1, vec![proof(1), pin(7), binding(1, Some(7))])]).await.unwrap();
    let (replayed, mismatch) = (Conflict::ProofReplayed, Conflict::EvidenceKeyMismatch);
    let batch = vec![
        // Refused for the proof, the binding or the pin; what else they name is as fresh as before.
        entry(2, vec![evidence(2), proof(1)]),
        entry(3, vec![evidence(2), binding(1, Some(8))]),
        entry(4, vec![evidence(2), binding(2, Some(8)), pin(8)]),
        entry(5, vec![evidence(2), binding(2, Some(9)), pin(7)]),
        entry(6, vec![evidence(2)]),
        entry(7, vec![binding(2, Some(8))]),
        // Twice in one entry is twice.
        entry(8, vec![proof(3), proof(3)]),
        entry(9, vec![proof(3)]),
    ];
    let verdicts = [
        Verdict::Conflict(replayed),
        Verdict::Conflict(mismatch),
        Verdict::Conflict(mismatch),
        Verdict::Recorded,
        Verdict::Conflict(Conflict::EvidenceReplayed),
        Verdict::Conflict(mismatch),
        Verdict::Conflict(replayed),
        Verdict::Recorded,
    ];
    assert_eq!(store.commit(batch).await.unwrap(), verdicts);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM used").fetch_one(&store.readers).await.unwrap();
    assert_eq!(left, 3, "two proofs and one piece of evidence");
    drop(store);
    let store = open(&folder).await;
    let again = vec![entry(10, vec![proof(3)]), entry(11, vec![binding(2, Some(9)), pin(7)])];
    assert_eq!(store.commit(again).await.unwrap(), [Verdict::Conflict(replayed), Verdict::Recorded]);
}

#[tokio::test]
async fn a_key_that_changes_within_a_batch_counts_from_there_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    store.commit(vec![entry(1, vec![pin(7)])]).await.unwrap();
    let repin = |before, after| Entry::Repin {
        repin: Repin {
            pod: pod(),
            before: Thumbprint::from_bytes([before; 32]),
            after: Thumbprint::from_bytes([after; 32]),
            started: Some(at(2000)),
            now: at(1000),
        },
        record: Box::new(Record::new(Event::KeyRepinned, at(1000), AuditOutcome::Success)),
    };
    let mismatch = Verdict::Conflict(Conflict::EvidenceKeyMismatch);
    let batch = vec![
        entry(2, vec![pin(7), proof(2)]),
        entry(3, vec![pin(8), proof(3)]),
        repin(7, 8),
        entry(4, vec![pin(7), proof(4)]),
        entry(5, vec![pin(8), proof(3)]),
        entry(6, vec![pin(8), proof(2)]),
        repin(7, 9),
        entry(7, vec![pin(8), proof(4)]),
    ];
    let verdicts = [
        Verdict::Recorded,
        mismatch,
        Verdict::Recorded,
        mismatch,
        Verdict::Recorded,
        Verdict::Conflict(Conflict::ProofReplayed),
        mismatch,
        Verdict::Recorded,
    ];
    assert_eq!(store.commit(batch).await.unwrap(), verdicts);
}
