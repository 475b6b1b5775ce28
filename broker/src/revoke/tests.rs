use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn standing(sequence: u64, value: &str, until: u64) -> Standing {
    Standing {
        sequence,
        revocation: Revocation {
            kind: RevocationKind::Workload,
            value: value.to_owned(),
            revoked_before: at(100),
            until: at(until),
        },
        blocks_until: Some(at(until)),
    }
}

fn revocations() -> Revocations {
    Revocations { current: RwLock::default(), making: Mutex::default(), last: watch::Sender::new(0) }
}

#[test]
fn the_later_of_two_counts_in_whatever_order_they_are_taken() {
    for order in [[1, 2], [2, 1]] {
        let revocations = revocations();
        for sequence in order {
            let until = if sequence == 2 { 100 } else { 1000 };
            revocations.take(&[standing(sequence, "a", until)], at(100));
        }
        let current = revocations.current();
        assert!(!current.blocked.stands(RevocationKind::Workload, "a", at(100)), "{order:?}: it was lifted");
        assert_eq!(current.standing.len(), 1);
        assert_eq!(*revocations.last().borrow(), 2);
    }
}

#[test]
fn the_feed_comes_in_pages_and_tells_what_was_lifted() {
    let revocations = revocations();
    let values = ["a", "b", "c", "d", "e"];
    let all: Vec<_> =
        values.iter().zip(1..).map(|(value, sequence)| standing(sequence, value, 1000)).collect();
    revocations.take(&all, at(100));
    let sequences = |after, limit| {
        let (page, more) = revocations.after(after, limit);
        (page.iter().map(|standing| standing.sequence).collect::<Vec<_>>(), more)
    };
    assert_eq!(sequences(0, 2), (vec![1, 2], true));
    assert_eq!(sequences(2, 3), (vec![3, 4, 5], false));
    assert_eq!(sequences(5, 3), (vec![], false));
    revocations.take(&[standing(6, "b", 100)], at(100));
    assert_eq!(sequences(5, 3), (vec![6], false), "a lifted one is over and still told");
    revocations.prune(at(100).saturating_add(REMEMBERED));
    assert_eq!(sequences(5, 3), (vec![], false));
}
