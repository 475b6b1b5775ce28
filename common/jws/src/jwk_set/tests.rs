use proptest::prelude::*;

use super::*;
use crate::vectors::{Forger, rfc7517, rfc8037};

fn set(keys: &[&str]) -> Result<JwkSet, JwkSetError> {
    JwkSet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
}

fn ec(kid: &str) -> String {
    serde_json::to_string(&Forger::new().public_jwk().with_key_id(kid)).unwrap()
}

#[test]
fn rfc7517_a1_the_set_is_read() {
    let set = set(&[rfc7517::A1_EC_KEY, rfc7517::A1_RSA_KEY]).unwrap();
    assert!(set.find(Some("2011-04-29"), Algorithm::Rs256).is_some());
    assert_eq!(
        set.skipped(),
        [SkippedKey { key_id: Some("1".to_owned()), reason: JwkError::NotForSignatures }]
    );
}

#[test]
fn j30_rfc7517_a2_a_set_with_a_private_key_is_refused_as_a_whole() {
    let error = set(&[rfc7517::A1_RSA_KEY, rfc7517::A2_EC_KEY]).unwrap_err();
    assert_eq!(error, JwkSetError::PrivateMember { index: 1 });
    for leaked in [
        rfc7517::A2_RSA_KEY,
        rfc8037::A1_PRIVATE_KEY,
        r#"{"kty":"oct","k":"AAAA"}"#,
        r#"{"kty":"AKP","priv":"AAAA"}"#,
    ] {
        assert!(matches!(set(&[leaked]), Err(JwkSetError::PrivateMember { index: 0 })), "{leaked}");
    }
}

#[test]
fn j30_a_set_with_one_kid_twice_is_refused() {
    assert_eq!(
        set(&[&ec("a"), &ec("a")]).unwrap_err(),
        JwkSetError::DuplicateKeyId { key_id: "a".to_owned() }
    );
    assert_eq!(set(&[&ec("a"), &ec("b")]).unwrap().keys().len(), 2);
}

#[test]
fn j30_weak_and_wrong_keys_are_passed_over_and_the_good_ones_serve() {
    let n = crate::vectors::rfc7515::A2_MODULUS;
    let weak = format!(r#"{{"kty":"RSA","kid":"weak","alg":"RS256","e":"AQAB","n":"{}"}}"#, &n[..172]);
    let exponent_one = format!(r#"{{"kty":"RSA","kid":"one","alg":"RS256","e":"AQ","n":"{n}"}}"#);
    let mismatch = ec("mismatch").replace("P-256", "P-384");
    let encryption = ec("enc").replace("\"kty\"", "\"use\":\"enc\",\"kty\"");
    let set = set(&[&weak, &exponent_one, &mismatch, &encryption, &ec("good")]).unwrap();
    assert_eq!(set.skipped().len(), 4);
    assert_eq!(set.keys().len(), 1);
    assert!(set.find(Some("good"), Algorithm::Es256).is_some());
}

#[test]
fn j31_an_unknown_key_type_does_not_spoil_the_set() {
    let set =
        set(&[r#"{"kty":"AKP","kid":"pq","alg":"ML-DSA-44","pub":"AAAA"}"#, &ec("good"), "{}"]).unwrap();
    assert!(set.contains("good") && !set.contains("pq"));
    assert_eq!(set.skipped().len(), 2);
}

#[test]
fn a_key_is_found_by_kid_and_algorithm() {
    let set = set(&[&ec("a"), &ec("b"), rfc7517::A1_RSA_KEY, rfc8037::A2_PUBLIC_KEY]).unwrap();
    assert_eq!(set.find(Some("a"), Algorithm::Es256).unwrap().key_id(), Some("a"));
    assert!(set.find(Some("a"), Algorithm::EdDsa).is_none(), "the algorithm is the key's");
    assert!(set.find(Some("c"), Algorithm::Es256).is_none());
    assert!(set.find(None, Algorithm::Es256).is_none(), "two would fit");
    assert!(set.find(None, Algorithm::Rs256).is_some(), "only one fits");
    assert!(set.find(None, Algorithm::EdDsa).is_some(), "a key without kid");
}

#[test]
fn an_rsa_key_without_algorithm_serves_the_one_that_is_asked_for() {
    let key = rfc7517::A1_RSA_KEY.replace(r#","alg":"RS256""#, "");
    let set = set(&[&key]).unwrap();
    for algorithm in [Algorithm::Rs256, Algorithm::Ps384] {
        assert_eq!(set.find(Some("2011-04-29"), algorithm).unwrap().algorithm(), algorithm);
    }
    assert!(set.find(Some("2011-04-29"), Algorithm::Es256).is_none());
}

#[test]
fn documents_that_are_no_set_are_refused() {
    for json in
        ["", "{}", "[]", "null", "<html></html>", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"keys":[null]}"#]
    {
        assert!(JwkSet::parse(json.as_bytes()).is_err(), "{json}");
    }
    assert!(JwkSet::parse(br#"{"keys":[],"keys":[]}"#).is_err(), "a member twice");
    assert!(JwkSet::parse(br#"{"keys":[]}"#).unwrap().keys().is_empty());
}

#[test]
fn sets_beyond_the_limits_are_refused() {
    let large = vec![b' '; JwkSet::MAX_BYTES + 1];
    assert_eq!(JwkSet::parse(&large).unwrap_err(), JwkSetError::TooLarge { length: large.len() });
    let many = vec!["{}"; JwkSet::MAX_KEYS + 1];
    assert_eq!(set(&many).unwrap_err(), JwkSetError::TooManyKeys { count: 101 });
}

proptest! {
    #[test]
    fn no_document_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        let _ = JwkSet::parse(&bytes);
        let _ = JwkSet::parse(text.as_bytes());
    }
}
