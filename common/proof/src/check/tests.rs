use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use proptest::prelude::*;
use symbolon_identity::ReasonCode;
use symbolon_jws::{Algorithm, JwsError, base64url};

use super::*;
use crate::{ProofKey, ProofRequest, ReplayError, ReplayWindow};

/// RFC 9449 §4.1, Figure 1: the proof sent to the token endpoint.
const TOKEN_PROOF: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUk",
    "lDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUw",
    "Q2R2R1JEQSIsImNydiI6IlAtMjU2In19.",
    "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY2",
    "9tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.",
    "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
);
/// RFC 9449 §7.1, Figure 12: the proof sent with an access token.
const RESOURCE_PROOF: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUk",
    "lDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUw",
    "Q2R2R1JEQSIsImNydiI6IlAtMjU2In19.",
    "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm",
    "9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhX",
    "WG9hTnk1OUlpS0NBcWtzbVFFbyJ9.",
    "2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
);
/// The access token of RFC 9449 §7.1.
const ACCESS_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
/// RFC 9449 §6.1: `jkt` of the key that made both.
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

const NOW: u64 = 1_795_000_000;
const TARGET: &str = "https://orders.example.com/orders";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn expected() -> ProofExpectation<'static> {
    ProofExpectation { method: "GET", targets: &[TARGET], access_token: None, nonce: None }
}

/// A P-256 key that signs any header over any claims.
struct Forger(EcdsaKeyPair);

impl Forger {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn jwk(&self) -> String {
        let point = self.0.public_key().as_ref();
        let (x, y) = (base64url::encode(&point[1..33]), base64url::encode(&point[33..]));
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", base64url::encode(signature.as_ref()))
    }

    fn proof(&self, claims: &str) -> String {
        self.sign(&format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, self.jwk()), claims)
    }
}

fn claims(jti: &str) -> String {
    format!(r#"{{"jti":"{jti}","htm":"GET","htu":"{TARGET}","iat":{NOW}}}"#)
}

#[test]
fn rfc9449_4_1_the_proof_for_the_token_endpoint_is_checked() {
    let expectation = ProofExpectation {
        method: "POST",
        targets: &["https://server.example.com/token"],
        access_token: None,
        nonce: None,
    };
    let checked = check(TOKEN_PROOF, &expectation, at(1_562_262_616)).unwrap();
    assert_eq!(checked.thumbprint().to_string(), JKT);
    assert_eq!(checked.expires_at(), at(1_562_262_676));
    assert_eq!(checked.token_hash(), None);
}

#[test]
fn rfc9449_7_1_the_proof_with_an_access_token_is_checked() {
    let expectation = ProofExpectation {
        method: "GET",
        targets: &["https://resource.example.org/protectedresource"],
        access_token: Some(ACCESS_TOKEN),
        nonce: None,
    };
    let checked = check(RESOURCE_PROOF, &expectation, at(1_562_262_618)).unwrap();
    assert_eq!(checked.thumbprint().to_string(), JKT);
    let ath = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
    assert_eq!(base64url::encode(checked.token_hash().unwrap()), ath);
    let stolen = ProofExpectation { access_token: Some("another"), ..expectation };
    assert_eq!(check(RESOURCE_PROOF, &stolen, at(1_562_262_618)).unwrap_err(), ProofError::WrongToken);
}

#[test]
fn a_made_proof_passes_its_own_request_only() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = ProofKey::generate(algorithm).unwrap();
        let request =
            ProofRequest { method: "GET", target_uri: TARGET, access_token: Some("t"), nonce: Some("n") };
        let proof = key.prove(&request, at(NOW)).unwrap();
        let expectation =
            ProofExpectation { method: "GET", targets: &[TARGET], access_token: Some("t"), nonce: Some("n") };
        let outcome = |expectation| check(&proof, &expectation, at(NOW)).map(|checked| checked.thumbprint());
        assert_eq!(outcome(expectation), Ok(key.thumbprint()));
        assert_eq!(outcome(ProofExpectation { method: "POST", ..expectation }), Err(ProofError::WrongMethod));
        assert_eq!(outcome(ProofExpectation { method: "get", ..expectation }), Err(ProofError::WrongMethod));
        assert_eq!(outcome(ProofExpectation { targets: &[], ..expectation }), Err(ProofError::WrongTarget));
        let elsewhere = ProofExpectation { targets: &["https://billing.example.com/orders"], ..expectation };
        assert_eq!(outcome(elsewhere), Err(ProofError::WrongTarget));
        let several =
            ProofExpectation { targets: &["https://billing.example.com/orders", TARGET], ..expectation };
        assert!(outcome(several).is_ok());
        assert_eq!(
            outcome(ProofExpectation { access_token: Some("u"), ..expectation }),
            Err(ProofError::WrongToken)
        );
        assert_eq!(
            outcome(ProofExpectation { nonce: Some("m"), ..expectation }),
            Err(ProofError::WrongNonce)
        );
        assert!(outcome(ProofExpectation { nonce: None, ..expectation }).is_ok());
    }
}

#[test]
fn a_proof_without_token_hash_or_nonce_does_not_stand_in_for_one_with_them() {
    let proof = Forger::new().proof(&claims("1"));
    let with_token = ProofExpectation { access_token: Some("t"), ..expected() };
    assert_eq!(check(&proof, &with_token, at(NOW)).unwrap_err(), ProofError::WrongToken);
    let with_nonce = ProofExpectation { nonce: Some("n"), ..expected() };
    let refused = check(&proof, &with_nonce, at(NOW)).unwrap_err();
    assert_eq!((refused.reason_code(), refused), (ReasonCode::NonceRequired, ProofError::WrongNonce));
}

#[test]
fn a_proof_counts_for_a_minute_and_clocks_may_differ_by_five_seconds() {
    let proof = Forger::new().proof(&claims("1"));
    for (now, passes) in [
        (NOW - 6, false),
        (NOW - 5, true),
        (NOW, true),
        (NOW + 60, true),
        (NOW + 61, false),
        (NOW * 2, false),
        (0, false),
    ] {
        let outcome = check(&proof, &expected(), at(now));
        assert_eq!(outcome.is_ok(), passes, "{now}");
        assert!(outcome.is_ok() || outcome.unwrap_err().reason_code() == ReasonCode::ProofExpired);
    }
}

#[test]
fn j22_times_that_are_no_integer_or_far_away_are_refused() {
    let forger = Forger::new();
    for iat in [
        "null",
        "\"1795000000\"",
        "1795000000.0",
        "1.795e9",
        "true",
        "[]",
        "-1",
        "0",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "1e309",
        "1795000000000",
    ] {
        let proof = forger.proof(&claims("1").replace(&NOW.to_string(), iat));
        assert!(check(&proof, &expected(), at(NOW)).is_err(), "{iat}");
    }
}

#[test]
fn missing_doubled_and_malformed_claims_are_refused() {
    let forger = Forger::new();
    let good = claims("1");
    assert!(check(&forger.proof(&good), &expected(), at(NOW)).is_ok());
    for bad in [
        "{}".to_owned(),
        "[]".to_owned(),
        good.replace("\"jti\":\"1\",", ""),
        good.replace("\"htm\":\"GET\",", ""),
        good.replace(&format!("\"htu\":\"{TARGET}\","), ""),
        good.replace(&format!(",\"iat\":{NOW}"), ""),
        good.replace("\"1\"", "\"\""),
        good.replace("\"1\"", "1"),
        good.replace("\"1\"", &format!("\"{}\"", "j".repeat(257))),
        good.replace("\"GET\"", "[\"GET\"]"),
        good.replace("\"jti\":\"1\"", "\"jti\":\"2\",\"jti\":\"1\""),
    ] {
        assert!(check(&forger.proof(&bad), &expected(), at(NOW)).is_err(), "{bad}");
    }
}

#[test]
fn j26_tokens_of_another_kind_are_no_proofs() {
    let forger = Forger::new();
    for typ in ["", r#""typ":"JWT","#, r#""typ":"at+jwt","#, r#""typ":"DPOP+JWT","#, r#""typ":"dpop+jwt ","#]
    {
        let header = format!(r#"{{{typ}"alg":"ES256","jwk":{}}}"#, forger.jwk());
        let refused = check(&forger.sign(&header, &claims("1")), &expected(), at(NOW)).unwrap_err();
        assert_eq!(
            (refused.reason_code(), refused),
            (ReasonCode::ProofInvalid, ProofError::WrongType),
            "{typ}"
        );
    }
}

#[test]
fn a_proof_has_a_public_asymmetric_key_and_its_signature() {
    let (forger, other) = (Forger::new(), Forger::new());
    let jwk = forger.jwk();
    let private = jwk.replace("\"kty\"", "\"d\":\"AAAA\",\"kty\"");
    for header in [
        r#"{"typ":"dpop+jwt","alg":"ES256"}"#.to_owned(),
        r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"oct","k":"AAAA"}}"#.to_owned(),
        format!(r#"{{"typ":"dpop+jwt","alg":"none","jwk":{jwk}}}"#),
        format!(r#"{{"typ":"dpop+jwt","alg":"HS256","jwk":{jwk}}}"#),
        format!(r#"{{"typ":"dpop+jwt","alg":"ES384","jwk":{jwk}}}"#),
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{private}}}"#),
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, other.jwk()),
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jku":"https://evil.example/","jwk":{jwk}}}"#),
    ] {
        let refused = check(&forger.sign(&header, &claims("1")), &expected(), at(NOW)).unwrap_err();
        assert_eq!(refused.reason_code(), ReasonCode::ProofInvalid, "{header}");
    }
    let refused = check(&"a".repeat(MAX_PROOF_BYTES + 1), &expected(), at(NOW)).unwrap_err();
    assert_eq!(refused, ProofError::TooLarge { length: MAX_PROOF_BYTES + 1 });
}

/// `order − s`, for the order of P-256 (SEC 2 §2.4.2).
fn negated(s: &[u8]) -> Vec<u8> {
    let order = [
        0xff_u8, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut borrow = 0_i16;
    let mut digits: Vec<u8> = order
        .iter()
        .zip(s)
        .rev()
        .map(|(order, s)| {
            let difference = i16::from(*order) - i16::from(*s) - borrow;
            borrow = i16::from(difference < 0);
            u8::try_from(difference.rem_euclid(256)).unwrap()
        })
        .collect();
    digits.reverse();
    digits
}

#[test]
fn j20_the_twin_of_a_signature_is_the_same_proof_to_the_replay_window() {
    let proof = Forger::new().proof(&claims("1"));
    let (input, signature) = proof.rsplit_once('.').unwrap();
    let signature = base64url::decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let twin = format!("{input}.{}", base64url::encode([r, &negated(s)].concat()));
    assert_ne!(twin, proof);
    let window = ReplayWindow::new(100);
    window.admit(&check(&proof, &expected(), at(NOW)).unwrap(), at(NOW)).unwrap();
    let twin = check(&twin, &expected(), at(NOW)).unwrap();
    assert_eq!(window.admit(&twin, at(NOW)), Err(ReplayError::Replayed));
}

#[test]
fn one_id_under_two_keys_is_two_proofs() {
    let ids: Vec<_> = [Forger::new(), Forger::new()]
        .map(|forger| check(&forger.proof(&claims("1")), &expected(), at(NOW)).unwrap().replay_id())
        .to_vec();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn query_and_fragment_do_not_reach_the_proof() {
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    let target_uri = "https://orders.example.com/orders?token=secret#x";
    let request = ProofRequest { method: "GET", target_uri, access_token: None, nonce: None };
    let proof = key.prove(&request, at(NOW)).unwrap();
    let claims = base64url::decode(proof.split('.').nth(1).unwrap()).unwrap();
    assert!(!String::from_utf8(claims).unwrap().contains("secret"));
    assert!(check(&proof, &expected(), at(NOW)).is_ok());
    let jws = JwsError::BadSignature;
    assert_eq!(ProofError::from(jws.clone()), ProofError::Jws(jws));
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(position in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let mut bytes = RESOURCE_PROOF.as_bytes().to_vec();
        let position = position.index(bytes.len());
        prop_assume!(bytes[position] != byte);
        bytes[position] = byte;
        let expectation = ProofExpectation {
            method: "GET",
            targets: &["https://resource.example.org/protectedresource"],
            access_token: Some(ACCESS_TOKEN),
            nonce: None,
        };
        prop_assert!(check(std::str::from_utf8(&bytes).unwrap(), &expectation, at(1_562_262_618)).is_err());
    }

    #[test]
    fn no_text_makes_the_check_panic(text in ".{0,300}", target in ".{0,100}") {
        let expectation = ProofExpectation { targets: &[&target], ..expected() };
        let _ = check(&text, &expectation, at(NOW));
        let proof = claims("1").replace(TARGET, &target.replace(['"', '\\'], ""));
        let _ = check(&Forger::new().proof(&proof), &expectation, at(NOW));
    }
}
