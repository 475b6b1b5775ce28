//! The token through its whole way: signed by any hand, parsed, verified.

mod binding;
mod claims;
mod profile;
mod round_trip;

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use symbolon_identity::{Audience, Timestamp};
use symbolon_jws::{Jwk, VerifyingKey, base64url};

use crate::{
    AudienceRule, DEFAULT_LEEWAY, Expectations, TokenError, TokenType, UnverifiedToken, VerifiedToken,
};

pub(crate) const NOW: u64 = 1_795_000_000;
const ISSUER: &str = "https://broker.example.com";
const AUDIENCE: &str = "https://orders.internal";
const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt"}"#;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn audience(text: &str) -> Audience {
    Audience::parse(text).unwrap()
}

pub(crate) fn good_claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "spiffe://example.com/shop", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, "jti": "1",
    })
}

/// The good claims with one member replaced by this JSON text, or taken away.
fn with(claim: &str, value: Option<&str>) -> String {
    let mut members = good_claims();
    members.as_object_mut().unwrap().remove(claim);
    let text = members.to_string();
    match value {
        Some(value) => format!("{},\"{claim}\":{value}}}", &text[..text.len() - 1]),
        None => text,
    }
}

/// A P-256 key that signs any header over any claims.
pub(crate) struct Forger {
    pair: EcdsaKeyPair,
    key: VerifyingKey,
}

impl Forger {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (base64url::encode(&point[1..33]), base64url::encode(&point[33..]));
        let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#);
        let key = VerifyingKey::from_jwk(&Jwk::parse(jwk.as_bytes()).unwrap()).unwrap();
        Self { pair, key }
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", base64url::encode(signature.as_ref()))
    }

    /// What becomes of these claims under the strict profile of our own access tokens.
    pub(crate) fn outcome(&self, claims: &str) -> Result<VerifiedToken, TokenError> {
        let audience = audience(AUDIENCE);
        let expectations = Expectations::access_token(ISSUER, AudienceRule::Contains(&audience));
        UnverifiedToken::parse(&self.sign(HEADER, claims))?.verify(&self.key, &expectations, at(NOW))
    }
}

#[test]
fn the_good_claims_are_good() {
    let verified = Forger::new().outcome(&good_claims().to_string()).unwrap();
    assert_eq!(verified.claims().subject.as_str(), "spiffe://example.com/shop");
    assert_eq!(verified.claims().audiences, [audience(AUDIENCE)]);
    assert_eq!(verified.claims().expires_at, at(NOW + 300));
}

#[test]
fn hints_are_all_that_an_unverified_token_tells() {
    let forger = Forger::new();
    let token = forger.sign(HEADER, &good_claims().to_string());
    let unverified = UnverifiedToken::parse(&token).unwrap();
    assert_eq!(unverified.issuer_hint(), Some(ISSUER));
    assert_eq!(unverified.key_id_hint(), None);
    let shown = format!("{unverified:?}");
    assert!(!shown.contains("spiffe") && !shown.contains(ISSUER), "{shown}");
    for claims in [r#"{"iss":1}"#, r#"{"iss":null}"#, "{}"] {
        assert_eq!(UnverifiedToken::parse(&forger.sign(HEADER, claims)).unwrap().issuer_hint(), None);
    }
}

#[test]
fn a_token_of_another_key_is_refused() {
    let (forger, other) = (Forger::new(), Forger::new());
    let token = UnverifiedToken::parse(&other.sign(HEADER, &good_claims().to_string())).unwrap();
    let audience = audience(AUDIENCE);
    let expectations = Expectations::access_token(ISSUER, AudienceRule::Contains(&audience));
    let refused = token.verify(&forger.key, &expectations, at(NOW)).unwrap_err();
    assert_eq!(refused.reason_code(), symbolon_identity::ReasonCode::BadSignature);
    assert!(!refused.is_our_fault());
}

#[test]
fn a_kept_verdict_ends_with_its_token() {
    let forger = Forger::new();
    let verified = forger.outcome(&with("nbf", Some(&(NOW - 10).to_string()))).unwrap();
    assert_eq!(verified.check_time(at(NOW + 299)), Ok(()));
    assert_eq!(verified.check_time(at(NOW + 300)), Err(TokenError::Expired { at: at(NOW + 300) }));
    assert_eq!(verified.check_time(at(NOW - 41)), Err(TokenError::NotYetValid { at: at(NOW - 10) }));
    assert_eq!(verified.key_thumbprint(), forger.key.thumbprint());
}

#[test]
fn the_leeway_is_for_the_beginning_and_never_for_the_end() {
    assert_eq!(DEFAULT_LEEWAY, Duration::from_secs(30));
    let forger = Forger::new();
    for (claim, value, passes) in [
        ("nbf", NOW + 30, true),
        ("nbf", NOW + 31, false),
        ("iat", NOW + 30, true),
        ("iat", NOW + 31, false),
        ("exp", NOW + 1, true),
        ("exp", NOW, false),
        ("exp", NOW - 1, false),
    ] {
        assert_eq!(forger.outcome(&with(claim, Some(&value.to_string()))).is_ok(), passes, "{claim} {value}");
    }
}

#[test]
fn a_type_that_is_expected_passes_and_no_other() {
    let forger = Forger::new();
    let audience = audience(AUDIENCE);
    let base = Expectations::access_token(ISSUER, AudienceRule::Sole(&audience));
    for (header, found) in [
        (r#"{"alg":"ES256"}"#, TokenType::Absent),
        (r#"{"alg":"ES256","typ":"JWT"}"#, TokenType::Jwt),
        (r#"{"alg":"ES256","typ":"jwt"}"#, TokenType::Jwt),
        (r#"{"alg":"ES256","typ":"application/at+jwt"}"#, TokenType::AccessToken),
        (r#"{"alg":"ES256","typ":"JOSE"}"#, TokenType::Jose),
        (r#"{"alg":"ES256","typ":"client-authentication+jwt"}"#, TokenType::ClientAuthentication),
    ] {
        let token = UnverifiedToken::parse(&forger.sign(header, &good_claims().to_string())).unwrap();
        for expected in TokenType::ALL {
            let types = [expected];
            let outcome = token.verify(&forger.key, &Expectations { token_types: &types, ..base }, at(NOW));
            assert_eq!(outcome.is_ok(), expected == found, "{header} {expected}");
        }
    }
}
