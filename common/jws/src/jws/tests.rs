//! The published examples, the regression list and properties of the compact form.

mod forms;
mod signatures;

use proptest::prelude::*;

use super::*;
use crate::vectors::{Forger, rfc7515, rfc8037};
use crate::{Algorithm, SigningHeader, SigningKey};

const GOOD: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"k1"}"#;
const CLAIMS: &str = r#"{"sub":"x"}"#;

fn verify(token: &str, key: &VerifyingKey) -> Result<VerifiedJws, JwsError> {
    UnverifiedJws::parse(token)?.verify(key)
}

fn key(json: &str) -> VerifyingKey {
    VerifyingKey::from_jwk(&Jwk::parse(json.as_bytes()).unwrap()).unwrap()
}

fn rsa(algorithm: Algorithm) -> VerifyingKey {
    let json = format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"}}"#, rfc7515::A2_MODULUS);
    VerifyingKey::from_jwk_as(&Jwk::parse(json.as_bytes()).unwrap(), algorithm).unwrap()
}

#[test]
fn rfc7515_a2_rs256_is_verified() {
    let verified = verify(rfc7515::A2_TOKEN, &rsa(Algorithm::Rs256)).unwrap();
    let expected = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    assert_eq!(verified.payload(), expected.as_bytes());
    assert_eq!(verified.json::<serde_json::Value>().unwrap()["iss"], "joe");
}

#[test]
fn rfc7515_a3_es256_is_verified() {
    assert!(verify(rfc7515::A3_TOKEN, &key(rfc7515::A3_KEY)).is_ok());
}

#[test]
fn rfc7515_a4_es512_is_verified() {
    assert_eq!(verify(rfc7515::A4_TOKEN, &key(rfc7515::A4_KEY)).unwrap().payload(), b"Payload");
}

#[test]
fn rfc8037_a4_ed25519_is_verified() {
    let verified = verify(rfc8037::A4_TOKEN, &key(rfc8037::A2_PUBLIC_KEY)).unwrap();
    assert_eq!(verified.payload(), b"Example of Ed25519 signing");
}

#[test]
fn rfc7515_a1_and_rfc7519_3_1_hs256_is_refused() {
    assert_eq!(
        UnverifiedJws::parse(rfc7515::A1_TOKEN).unwrap_err(),
        JwsError::UnsupportedAlgorithm { name: "HS256".to_owned() }
    );
}

#[test]
fn rfc7515_a5_and_rfc7519_6_1_unsecured_is_refused() {
    assert_eq!(
        UnverifiedJws::parse(rfc7515::A5_TOKEN).unwrap_err(),
        JwsError::UnsupportedAlgorithm { name: "none".to_owned() }
    );
}

/// RFC 7515 A.6 and A.7, and the same bytes dressed up as one compact token.
#[test]
fn rfc7515_a6_and_j11_json_serialization_is_refused() {
    let part = |token: &'static str, index: usize| token.split('.').nth(index).unwrap();
    let signature =
        |token| format!(r#"{{"protected":"{}","signature":"{}"}}"#, part(token, 0), part(token, 2));
    let (rs, es) = (signature(rfc7515::A2_TOKEN), signature(rfc7515::A3_TOKEN));
    let payload = rfc7515::PAYLOAD;
    let general = format!(r#"{{"payload":"{payload}","signatures":[{rs},{es}]}}"#);
    let flattened = format!(r#"{{"payload":"{payload}",{}"#, &es[1..]);
    let polyglot = format!(r#"{{"a":"{}","payload":"{payload}"}}"#, rfc7515::A3_TOKEN);
    for token in [general, flattened, polyglot] {
        assert!(verify(&token, &key(rfc7515::A3_KEY)).is_err(), "{token}");
    }
}

#[test]
fn a_proof_is_verified_with_the_key_it_carries() {
    let forger = Forger::new();
    let jwk = serde_json::to_string(&forger.public_jwk()).unwrap();
    let token = forger.sign(&format!(r#"{{"alg":"ES256","jwk":{jwk}}}"#), CLAIMS);
    let (verified, key) = UnverifiedJws::parse(&token).unwrap().verify_with_embedded_key().unwrap();
    assert_eq!((verified.payload(), key.thumbprint()), (CLAIMS.as_bytes(), forger.key().thumbprint()));
}

#[test]
fn a_proof_with_a_bad_key_is_refused() {
    let forger = Forger::new();
    let jwk = serde_json::to_string(&forger.public_jwk()).unwrap();
    let private = format!(r#"{},"d":"AAAA"}}"#, &jwk[..jwk.len() - 1]);
    let symmetric = r#"{"kty":"oct","k":"AAAA"}"#;
    let off_curve =
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}}"#, base64url::encode([1; 32]));
    for header in [
        r#"{"alg":"ES256"}"#.to_owned(),
        r#"{"alg":"ES256","jwk":null}"#.to_owned(),
        r#"{"alg":"ES256","jwk":[]}"#.to_owned(),
        format!(r#"{{"alg":"ES256","jwk":{private}}}"#),
        format!(r#"{{"alg":"ES256","jwk":{symmetric}}}"#),
        format!(r#"{{"alg":"ES256","jwk":{off_curve}}}"#),
        format!(r#"{{"alg":"EdDSA","jwk":{jwk}}}"#),
        format!(r#"{{"alg":"ES256","jwk":{jwk},"jku":"https://evil.example/"}}"#),
    ] {
        let token = forger.sign(&header, CLAIMS);
        assert!(UnverifiedJws::parse(&token).unwrap().verify_with_embedded_key().is_err(), "{header}");
    }
    let stranger = Forger::new().sign(&format!(r#"{{"alg":"ES256","jwk":{jwk}}}"#), CLAIMS);
    assert_eq!(
        UnverifiedJws::parse(&stranger).unwrap().verify_with_embedded_key().unwrap_err(),
        JwsError::BadSignature
    );
}

#[test]
fn debug_output_holds_no_part_of_a_token() {
    let token = rfc7515::A3_TOKEN;
    let unverified = UnverifiedJws::parse(token).unwrap();
    let shown = format!("{unverified:?} {:?}", unverified.verify(&key(rfc7515::A3_KEY)).unwrap());
    assert!(token.split('.').all(|part| !shown.contains(part)) && !shown.contains("joe"));
}

/// Tokens with their keys, made once: key generation would dominate the cases below.
fn samples() -> &'static [(String, VerifyingKey)] {
    static SAMPLES: std::sync::OnceLock<Vec<(String, VerifyingKey)>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(|| {
        [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa]
            .into_iter()
            .map(|algorithm| {
                let key = SigningKey::generate(algorithm).unwrap();
                let header = SigningHeader::typed("at+jwt").with_key_id(key.key_id());
                (key.sign(&header, CLAIMS.as_bytes()).unwrap(), key.verifying_key().clone())
            })
            .chain([(rfc7515::A2_TOKEN.to_owned(), rsa(Algorithm::Rs256))])
            .collect()
    })
}

proptest! {
    #[test]
    fn what_was_signed_is_verified(payload in proptest::collection::vec(any::<u8>(), 0..2000), which in 0..4_usize) {
        let algorithm = [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa][which];
        let key = SigningKey::generate(algorithm).unwrap();
        let token = key.sign(&SigningHeader::typed("JWT").with_key_id(key.key_id()), &payload).unwrap();
        let verified = verify(&token, key.verifying_key()).unwrap();
        prop_assert_eq!(verified.payload(), payload);
    }

    #[test]
    fn any_changed_byte_is_refused(which in 0..5_usize, position in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let (token, key) = &samples()[which];
        let mut bytes = token.clone().into_bytes();
        let position = position.index(bytes.len());
        prop_assume!(bytes[position] != byte);
        bytes[position] = byte;
        prop_assert!(verify(std::str::from_utf8(&bytes).unwrap(), key).is_err());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,400}", parts in "[A-Za-z0-9_-]{0,80}(\\.[A-Za-z0-9_-]{0,80}){0,4}") {
        let _ = UnverifiedJws::parse(&text);
        let _ = UnverifiedJws::parse(&parts);
    }

    #[test]
    fn no_header_makes_the_parser_panic(header in "\\{(\"(alg|kid|typ|jwk|crit)\":(\"(ES256|none|x)\"|[0-9]{1,3}|\\[\\]|\\{\\}|null),?){0,4}\\}") {
        let token = format!("{}.e30.AAAA", base64url::encode(header));
        if let Ok(unverified) = UnverifiedJws::parse(&token) {
            let _ = unverified.verify_with_embedded_key();
        }
    }
}
