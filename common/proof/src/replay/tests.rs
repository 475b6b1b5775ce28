use symbolon_jws::Algorithm;

use super::*;
use crate::{ProofExpectation, ProofKey, ProofRequest, check};

const NOW: u64 = 1_795_000_000;
const TARGET: &str = "https://orders.example.com/";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn proof(key: &ProofKey, now: Timestamp) -> CheckedProof {
    let request = ProofRequest { method: "GET", target_uri: TARGET, access_token: None, nonce: None };
    let expectation = ProofExpectation { method: "GET", targets: &[TARGET], access_token: None, nonce: None };
    check(&key.prove(&request, now).unwrap(), &expectation, now).unwrap()
}

fn key() -> ProofKey {
    ProofKey::generate(Algorithm::EdDsa).unwrap()
}

#[test]
fn a_proof_is_admitted_once() {
    let (window, key) = (ReplayWindow::new(1000), key());
    let (first, second) = (proof(&key, at(NOW)), proof(&key, at(NOW)));
    assert_eq!(window.admit(&first, at(NOW)), Ok(()));
    for later in [0, 1, 59, 60] {
        assert_eq!(window.admit(&first, at(NOW + later)), Err(ReplayError::Replayed), "{later}");
    }
    assert_eq!(window.admit(&second, at(NOW)), Ok(()));
}

#[test]
fn what_was_made_before_the_start_is_refused_and_what_is_made_after_it_passes() {
    let (window, key) = (ReplayWindow::new(1000).since(at(NOW)), key());
    for before in [1, 30, 60] {
        let old = proof(&key, at(NOW - before));
        assert_eq!(window.admit(&old, at(NOW)), Err(ReplayError::BeforeMemory), "{before}");
    }
    for after in [0, 1, 59] {
        assert_eq!(window.admit(&proof(&key, at(NOW + after)), at(NOW + after)), Ok(()), "{after}");
    }
    assert!(ReplayError::BeforeMemory.is_our_fault());
}

#[test]
fn the_room_of_one_key_is_what_was_asked_for() {
    let (window, key) = (ReplayWindow::new(16 * 1024).per_key(16 * 8), key());
    let admitted = (0..16 * 64).filter(|_| window.admit(&proof(&key, at(NOW)), at(NOW)).is_ok()).count();
    assert_eq!(admitted, 16 * 8);
}

#[test]
fn a_proof_is_forgotten_only_when_it_is_too_old_anyway() {
    let (window, key) = (ReplayWindow::new(20_000), key());
    let old = proof(&key, at(NOW));
    window.admit(&old, at(NOW)).unwrap();
    // Whatever the shard, some of these make it forget.
    for _ in 0..200 {
        window.admit(&proof(&key, at(NOW + 61)), at(NOW + 61)).unwrap();
    }
    assert_eq!(window.len(), 200);
    assert_eq!(window.admit(&old, at(NOW + 61)), Err(ReplayError::Replayed), "it has run out");
    assert_eq!(window.admit(&old, at(NOW + 30)), Err(ReplayError::Replayed), "the clock has jumped back");
}

#[test]
fn a_clock_that_jumped_ahead_and_back_does_not_lock_callers_out() {
    let (window, key) = (ReplayWindow::new(20_000), key());
    for now in [at(NOW), at(NOW + 3600)] {
        for _ in 0..200 {
            window.admit(&proof(&key, now), now).unwrap();
        }
    }
    assert_eq!(window.admit(&proof(&key, at(NOW + 1)), at(NOW + 1)), Ok(()));
}

#[test]
fn a_full_window_refuses_and_recovers() {
    let window = ReplayWindow::new(16);
    let outcomes: Vec<_> = (0..100).map(|_| window.admit(&proof(&key(), at(NOW)), at(NOW))).collect();
    assert!(outcomes.contains(&Err(ReplayError::Full)));
    assert!(window.len() <= 16);
    let later = at(NOW + 120);
    let outcomes: Vec<_> = (0..100).map(|_| window.admit(&proof(&key(), later), later)).collect();
    assert!(outcomes.contains(&Ok(())));
    assert!(window.len() <= 32, "each shard forgets when it is asked next");
}

#[test]
fn one_key_cannot_fill_the_window_for_others() {
    let (window, greedy) = (ReplayWindow::new(1024), key());
    let refused = (0..1000)
        .filter(|_| window.admit(&proof(&greedy, at(NOW)), at(NOW)) == Err(ReplayError::Full))
        .count();
    assert!(refused >= 1000 - 256 && window.len() <= 256, "{refused} {}", window.len());
    for _ in 0..50 {
        assert_eq!(window.admit(&proof(&key(), at(NOW)), at(NOW)), Ok(()), "somebody else");
    }
    let later = at(NOW + 120);
    for _ in 0..200 {
        let _ = window.admit(&proof(&key(), later), later);
    }
    assert_eq!(window.admit(&proof(&greedy, later), later), Ok(()), "its old proofs count no more");
}

#[test]
fn the_bytes_of_a_proof_do_not_choose_its_shard() {
    let (one, two) = (ReplayWindow::new(1), ReplayWindow::new(1));
    let choices = |window: &ReplayWindow| -> Vec<_> {
        (0..64_u8).map(|byte| window.shard_choice.hash_one([byte; 32]) % 16).collect()
    };
    assert_ne!(choices(&one), choices(&two));
}

#[test]
fn of_many_at_once_one_is_admitted() {
    let (window, key) = (ReplayWindow::new(1000), key());
    for _ in 0..20 {
        let proof = proof(&key, at(NOW));
        let admitted = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| window.admit(&proof, at(NOW)).is_ok())).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|admitted| *admitted).count()
        });
        assert_eq!(admitted, 1);
    }
}

#[test]
fn each_refusal_has_its_reason() {
    assert_eq!(ReplayError::Replayed.reason_code(), ReasonCode::ProofReplayed);
    assert_eq!(ReplayError::Full.reason_code(), ReasonCode::ReplayUnavailable);
    assert!(ReplayError::Full.is_our_fault() && !ReplayError::Replayed.is_our_fault());
}
