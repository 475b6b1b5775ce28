use secrecy::ExposeSecret;

use super::*;
use crate::UnverifiedJws;
use crate::vectors::{rfc7515, rfc7517, rfc8037};

const GENERATED: [Algorithm; 4] = [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa];

fn signs(key: &SigningKey) {
    let token = key.sign(&SigningHeader::typed("JWT"), b"{}").unwrap();
    UnverifiedJws::parse(&token).unwrap().verify(key.verifying_key()).unwrap();
}

#[test]
fn a_generated_key_comes_back_from_its_private_jwk() {
    for algorithm in GENERATED {
        let key = SigningKey::generate(algorithm).unwrap();
        signs(&key);
        let again = SigningKey::from_private_jwk(key.to_private_jwk().expose_secret().as_bytes()).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert_eq!(again.to_private_jwk().expose_secret(), key.to_private_jwk().expose_secret());
        let token = again.sign(&SigningHeader::typed("JWT").with_key_id(key.key_id()), b"{}").unwrap();
        assert!(UnverifiedJws::parse(&token).unwrap().verify(key.verifying_key()).is_ok());
    }
}

#[test]
fn rsa_keys_are_not_generated() {
    let error = SigningKey::generate(Algorithm::Ps256).unwrap_err();
    assert_eq!(error, SigningKeyError::NotGenerated { algorithm: Algorithm::Ps256 });
}

/// `EdDSA` is deterministic, so that the published signature must come out.
#[test]
fn rfc8037_a4_the_ed25519_signature_is_met() {
    let key = SigningKey::from_private_jwk(rfc8037::A1_PRIVATE_KEY.as_bytes()).unwrap();
    assert_eq!(key.key_id(), rfc8037::A3_THUMBPRINT);
    let (input, signature) = rfc8037::A4_TOKEN.rsplit_once('.').unwrap();
    assert_eq!(base64url::encode(key.pair.sign(input.as_bytes()).unwrap()), signature);
}

/// So is RSASSA-PKCS1-v1_5.
#[test]
fn rfc7515_a2_the_rs256_signature_is_met() {
    let key = SigningKey::from_private_jwk(rfc7515::A2_PRIVATE_KEY.as_bytes()).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Rs256);
    let (input, signature) = rfc7515::A2_TOKEN.rsplit_once('.').unwrap();
    assert_eq!(base64url::encode(key.pair.sign(input.as_bytes()).unwrap()), signature);
}

#[test]
fn rfc7515_a3_the_private_key_belongs_to_the_public_one() {
    let key = SigningKey::from_private_jwk(rfc7515::A3_PRIVATE_KEY.as_bytes()).unwrap();
    assert_eq!(key.thumbprint(), Jwk::parse(rfc7515::A3_KEY.as_bytes()).unwrap().thumbprint());
    signs(&key);
}

#[test]
fn rfc7517_a2_the_rsa_key_signs_with_each_rsa_algorithm() {
    for algorithm in Algorithm::RSA {
        let json = rfc7517::A2_RSA_KEY.replace("RS256", algorithm.as_str());
        let key = SigningKey::from_private_jwk(json.as_bytes()).unwrap();
        assert_eq!((key.algorithm(), key.key_id()), (algorithm, "2011-04-29"));
        signs(&key);
        let again = SigningKey::from_private_jwk(key.to_private_jwk().expose_secret().as_bytes()).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert!(key.to_pkcs8_pem().is_ok());
    }
}

#[test]
fn rfc7517_a2_the_encryption_key_signs_nothing() {
    let error = SigningKey::from_private_jwk(rfc7517::A2_EC_KEY.as_bytes()).unwrap_err();
    assert_eq!(error, SigningKeyError::Public(JwkError::NotForSignatures));
}

#[test]
fn halves_that_do_not_fit_are_refused() {
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let other: serde_json::Value = serde_json::from_str(other.to_private_jwk().expose_secret()).unwrap();
    let mut key: serde_json::Value = serde_json::from_str(rfc7515::A3_PRIVATE_KEY).unwrap();
    key["d"] = other["d"].clone();
    assert_eq!(
        SigningKey::from_private_jwk(key.to_string().as_bytes()).unwrap_err(),
        SigningKeyError::Mismatch
    );
    for d in ["", "AAAA", "=", "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LIA"] {
        key["d"] = d.into();
        let error = SigningKey::from_private_jwk(key.to_string().as_bytes()).unwrap_err();
        assert_eq!(error, SigningKeyError::PrivateMember { member: "d" });
    }
    let damaged = rfc7517::A2_RSA_KEY.replace("\"dp\":\"G4", "\"dp\":\"H4");
    assert_eq!(SigningKey::from_private_jwk(damaged.as_bytes()).unwrap_err(), SigningKeyError::Mismatch);
}

#[test]
fn public_keys_and_rubbish_are_no_private_keys() {
    for json in [
        "",
        "{}",
        "[]",
        rfc7515::A3_KEY,
        rfc8037::A2_PUBLIC_KEY,
        rfc7517::A1_RSA_KEY,
        r#"{"kty":"oct","k":"AAAA"}"#,
    ] {
        assert!(SigningKey::from_private_jwk(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn the_pem_is_pkcs8_in_lines_of_64() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let pem = key.to_pkcs8_pem().unwrap();
    let lines: Vec<&str> = pem.expose_secret().lines().collect();
    assert_eq!(lines[0], "-----BEGIN PRIVATE KEY-----");
    assert_eq!(*lines.last().unwrap(), "-----END PRIVATE KEY-----");
    let body = &lines[1..lines.len() - 1];
    assert!(body.iter().all(|line| line.len() <= 64) && body[0].len() == 64);
    let der = STANDARD.decode(body.concat()).unwrap();
    let again = EcdsaKeyPair::from_pkcs8(pair::ecdsa(Curve::P256), &der).unwrap();
    let Pair::Ec(original) = &key.pair else { panic!("an EC key") };
    assert_eq!(again.public_key().as_ref(), original.public_key().as_ref());
}

#[test]
fn a_private_key_is_never_shown() {
    let key = SigningKey::from_private_jwk(rfc7515::A3_PRIVATE_KEY.as_bytes()).unwrap();
    let shown = format!("{key:?} {:?} {:?}", key.to_private_jwk(), key.public_jwk());
    assert!(!shown.contains("jpsQnnGQ"), "{shown}");
    assert!(!serde_json::to_string(key.public_jwk()).unwrap().contains("\"d\""));
    let error = SigningKey::from_private_jwk(br#"{"kty":"EC","d":["hunter2"]}"#).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_token_that_nobody_would_read_is_not_signed() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let error = key.sign(&SigningHeader::typed("JWT"), &[b'x'; 13_000]).unwrap_err();
    assert!(matches!(error, SigningKeyError::TooLarge { .. }));
}
