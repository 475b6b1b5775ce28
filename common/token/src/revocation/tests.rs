use serde_json::json;

use super::*;
use crate::tests::{Forger, NOW, at, good_claims};

fn token(change: impl FnOnce(&mut serde_json::Value)) -> VerifiedToken {
    let mut claims = good_claims();
    claims["client_id"] = json!("spiffe://example.com/client");
    claims["act"] =
        json!({"sub": "spiffe://example.com/actor", "act": {"sub": "spiffe://example.com/earlier"}});
    claims["lineage"] = json!("root");
    claims["cnf"] = json!({"jkt": "A".repeat(43)});
    change(&mut claims);
    Forger::new().outcome(&claims.to_string()).unwrap()
}

fn set(kind: RevocationKind, value: &str, revoked_before: u64, until: u64) -> RevocationSet {
    let mut set = RevocationSet::default();
    set.add(Revocation {
        kind,
        value: value.to_owned(),
        revoked_before: at(revoked_before),
        until: at(until),
    });
    set
}

#[test]
fn each_kind_hits_what_it_names_and_nothing_else() {
    let token = token(|_| {});
    let key = token.key_thumbprint().to_string();
    for (kind, value) in [
        (RevocationKind::Jti, "1"),
        (RevocationKind::Lineage, "root"),
        (RevocationKind::Lineage, "1"),
        (RevocationKind::Workload, "spiffe://example.com/shop"),
        (RevocationKind::Workload, "spiffe://example.com/client"),
        (RevocationKind::Workload, "spiffe://example.com/actor"),
        (RevocationKind::Workload, "spiffe://example.com/earlier"),
        (RevocationKind::Jkt, &"A".repeat(43)),
        (RevocationKind::Subject, "spiffe://example.com/shop"),
        (RevocationKind::Client, "spiffe://example.com/client"),
        (RevocationKind::Kid, &key),
    ] {
        let hit = |value: &str| set(kind, value, NOW, NOW + 300).hits(&token, at(NOW));
        assert!(hit(value), "{} {value}", kind.as_str());
        assert!(!hit(&format!("{value}x")) && !hit(""), "{} {value}", kind.as_str());
    }
    assert!(!RevocationSet::default().hits(&token, at(NOW)));
}

#[test]
fn tokens_of_later_are_not_hit_and_nothing_is_after_the_end() {
    let (name, kind) = ("spiffe://example.com/shop", RevocationKind::Subject);
    let token = token(|_| {});
    assert!(set(kind, name, NOW, NOW + 10).hits(&token, at(NOW + 9)));
    assert!(!set(kind, name, NOW - 1, NOW + 10).hits(&token, at(NOW)), "issued afterwards");
    assert!(!set(kind, name, NOW, NOW + 10).hits(&token, at(NOW + 10)), "over");
}

#[test]
fn a_token_that_hides_when_it_was_issued_is_hit() {
    let token = token(|claims| {
        claims.as_object_mut().unwrap().remove("iat");
    });
    assert!(set(RevocationKind::Subject, "spiffe://example.com/shop", 1, NOW + 10).hits(&token, at(NOW)));
}

#[test]
fn the_later_of_two_counts_and_what_is_over_is_forgotten() {
    let (name, kind) = ("1", RevocationKind::Jti);
    let mut set = set(kind, name, NOW, NOW + 300);
    let lifted = Revocation { kind, value: name.to_owned(), revoked_before: at(NOW), until: at(NOW) };
    set.add(lifted);
    assert_eq!(set.len(), 1);
    assert!(!set.hits(&token(|_| {}), at(NOW)));
    set.prune(at(NOW));
    assert!(set.is_empty());
}
