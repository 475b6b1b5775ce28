use super::*;
use crate::VerifyingKey;
use crate::vectors::{Forger, rfc7515, rfc7517, rfc8037};

fn parse(json: &str) -> Result<Jwk, JwkError> {
    Jwk::parse(json.as_bytes())
}

/// The EC key of RFC 7515 A.3 with one member replaced or added.
fn altered(member: &str, value: Value) -> String {
    let mut members: Map<String, Value> = serde_json::from_str(rfc7515::A3_KEY).unwrap();
    members.insert(member.to_owned(), value);
    Value::Object(members).to_string()
}

fn rsa(n: &[u8], e: &[u8]) -> String {
    format!(r#"{{"kty":"RSA","alg":"RS256","n":"{}","e":"{}"}}"#, base64url::encode(n), base64url::encode(e))
}

#[test]
fn rfc7517_a1_the_rsa_key_is_read_and_the_encryption_key_is_not() {
    let key = parse(rfc7517::A1_RSA_KEY).unwrap();
    assert_eq!((key.algorithm(), key.key_id()), (Some(Algorithm::Rs256), Some("2011-04-29")));
    assert_eq!(parse(rfc7517::A1_EC_KEY), Err(JwkError::NotForSignatures));
}

#[test]
fn rfc7517_a2_private_keys_are_no_public_keys() {
    for key in [rfc7517::A2_EC_KEY, rfc7517::A2_RSA_KEY] {
        assert_eq!(parse(key), Err(JwkError::PrivateMember));
    }
}

#[test]
fn rfc7638_3_1_the_thumbprint_of_the_rsa_key_is_met() {
    assert_eq!(parse(rfc7517::A1_RSA_KEY).unwrap().thumbprint().to_string(), rfc7517::RFC7638_THUMBPRINT);
}

#[test]
fn rfc8037_a3_the_thumbprint_of_the_ed25519_key_is_met() {
    let key = parse(rfc8037::A2_PUBLIC_KEY).unwrap();
    assert_eq!(key.thumbprint().to_string(), rfc8037::A3_THUMBPRINT);
    assert_eq!(key.algorithm(), Some(Algorithm::EdDsa));
}

#[test]
fn a_key_survives_json_and_its_metadata_does_not_change_its_thumbprint() {
    let key = Forger::new().public_jwk();
    let text = serde_json::to_string(&key).unwrap();
    assert_eq!(parse(&text).unwrap(), key);
    assert_eq!(serde_json::from_str::<Jwk>(&text).unwrap(), key);
    assert_eq!(key.bare().thumbprint(), key.thumbprint());
    assert_eq!(key.clone().with_key_id("other").thumbprint(), key.thumbprint());
    assert!(!serde_json::to_string(&key.bare()).unwrap().contains("kid"));
}

#[test]
fn j30_weak_rsa_keys_are_refused() {
    let modulus = base64url::decode(rfc7515::A2_MODULUS).unwrap();
    let mut shorter = modulus.clone();
    shorter[0] = 0x7f;
    for (n, bits) in [(&modulus[..128], 1024), (&shorter, 2047), (&[0xff; 1025], 8200)] {
        assert_eq!(parse(&rsa(n, &[1, 0, 1])), Err(JwkError::ModulusSize { bits }));
    }
    let exponents = [&[1][..], &[2], &[1, 0, 0], &[3, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1]];
    for e in exponents {
        assert_eq!(parse(&rsa(&modulus, e)), Err(JwkError::Exponent), "{e:?}");
    }
    assert_eq!(parse(&rsa(&modulus, &[])), Err(JwkError::Member { member: "e" }));
    assert_eq!(parse(&rsa(&modulus, &[0, 1, 0, 1])), Err(JwkError::Member { member: "e" }), "leading zero");
    assert!(parse(&rsa(&modulus, &[3])).is_ok());
    let padded = [&[0], &modulus[..]].concat();
    assert_eq!(parse(&rsa(&padded, &[1, 0, 1])), Err(JwkError::Member { member: "n" }), "leading zero");
}

#[test]
fn j30_a_roca_key_is_refused() {
    let number = crate::roca::tests::power_of_65537();
    assert_eq!(parse(&rsa(&number, &[1, 0, 1])), Err(JwkError::Roca));
}

#[test]
fn j30_a_key_whose_algorithm_does_not_fit_is_refused() {
    for (alg, error) in [
        ("ES384", JwkError::WrongAlgorithm { algorithm: Algorithm::Es384 }),
        ("RS256", JwkError::WrongAlgorithm { algorithm: Algorithm::Rs256 }),
    ] {
        assert_eq!(parse(&altered("alg", alg.into())), Err(error));
    }
    for alg in ["HS256", "none", "ECDH-ES", "RSA-OAEP", ""] {
        assert!(matches!(parse(&altered("alg", alg.into())), Err(JwkError::UnknownAlgorithm(_))), "{alg}");
    }
    let rsa = parse(rfc7517::A1_RSA_KEY).unwrap();
    assert!(VerifyingKey::from_jwk_as(&rsa, Algorithm::Ps256).is_err());
}

#[test]
fn j30_a_key_for_another_purpose_is_refused() {
    for (member, value) in [
        ("use", Value::from("enc")),
        ("key_ops", serde_json::json!(["encrypt"])),
        ("key_ops", serde_json::json!([])),
        ("key_ops", serde_json::json!(["sign"])),
    ] {
        assert_eq!(parse(&altered(member, value)), Err(JwkError::NotForSignatures), "{member}");
    }
    assert!(parse(&altered("key_ops", serde_json::json!(["verify"]))).is_ok());
    assert!(parse(&altered("use", "sig".into())).is_ok());
}

#[test]
fn malformed_members_are_refused() {
    let short = base64url::encode([1; 31]);
    let long = base64url::encode([1; 33]);
    for (member, value) in [
        ("x", Value::from(short)),
        ("x", long.into()),
        ("x", 1.into()),
        ("x", "".into()),
        ("y", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE=".into()),
        ("kid", 1.into()),
        ("kid", "k".repeat(257).into()),
        ("use", 1.into()),
        ("key_ops", "verify".into()),
        ("alg", Value::Null),
        ("kty", Value::Null),
    ] {
        let json = altered(member, value);
        assert!(matches!(parse(&json), Err(JwkError::Member { .. })), "{json}");
    }
    for json in ["", "[]", "null", "{}", r#"{"kty":"EC","kty":"EC"}"#] {
        assert!(parse(json).is_err(), "{json}");
    }
}

#[test]
fn other_types_and_curves_are_named() {
    assert!(matches!(
        parse(r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}"#),
        Err(JwkError::UnknownKeyType { .. })
    ));
    assert!(matches!(parse(&altered("crv", "secp256k1".into())), Err(JwkError::UnknownCurve { .. })));
    assert!(matches!(parse(r#"{"kty":"OKP","crv":"Ed448","x":"AAAA"}"#), Err(JwkError::UnknownCurve { .. })));
    assert_eq!(parse(r#"{"kty":"oct","k":"AAAA"}"#), Err(JwkError::PrivateMember));
}

#[test]
fn a_point_that_is_not_on_the_curve_makes_no_key() {
    let mut y = base64url::decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap();
    y[31] ^= 1;
    for y in [y, vec![0; 32], vec![0xff; 32]] {
        let jwk = parse(&altered("y", base64url::encode(y).into())).unwrap();
        assert_eq!(VerifyingKey::from_jwk(&jwk).unwrap_err(), JwkError::Invalid);
    }
}

#[test]
fn an_rsa_key_without_algorithm_needs_one() {
    let mut members: Map<String, Value> = serde_json::from_str(rfc7517::A1_RSA_KEY).unwrap();
    members.remove("alg");
    let jwk = Jwk::from_members(&members).unwrap();
    assert_eq!(VerifyingKey::from_jwk(&jwk).unwrap_err(), JwkError::AlgorithmMissing);
    assert_eq!(VerifyingKey::from_jwk_as(&jwk, Algorithm::Ps512).unwrap().algorithm(), Algorithm::Ps512);
    assert!(VerifyingKey::from_jwk_as(&jwk, Algorithm::Es256).is_err());
}
