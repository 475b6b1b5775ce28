//! What we sign is what we read.

use proptest::prelude::*;
use symbolon_identity::{ClientId, Scopes, TokenId};
use symbolon_jws::{Algorithm, SigningKey, Thumbprint};

use super::*;
use crate::{Actor, Claims, Confirmation, Issuer, Subject, TokenHash, sign};

fn key() -> &'static SigningKey {
    static KEY: std::sync::OnceLock<SigningKey> = std::sync::OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(Algorithm::Es256).unwrap())
}

fn read(token: &str) -> Result<VerifiedToken, TokenError> {
    let audience = audience(AUDIENCE);
    let expectations = Expectations::access_token(ISSUER, AudienceRule::Contains(&audience));
    UnverifiedToken::parse(token)?.verify(key().verifying_key(), &expectations, at(NOW))
}

fn full_claims() -> Claims {
    let subject = |text| Subject::parse(text).unwrap();
    let first = Actor { subject: subject("a"), issuer: Some(Issuer::parse(ISSUER).unwrap()), earlier: None };
    Claims {
        audiences: vec![audience(AUDIENCE), audience("b")],
        client_id: Some(ClientId::parse("spiffe://example.com/shop").unwrap()),
        issued_at: Some(at(NOW)),
        not_before: Some(at(NOW)),
        token_id: Some(TokenId::parse("id").unwrap()),
        scopes: Scopes::parse("a b").unwrap(),
        confirmation: Some(Confirmation::to_key(Thumbprint::from_bytes([1; 32]))),
        actor: Some(Actor { subject: subject("b"), issuer: None, earlier: Some(Box::new(first)) }),
        lineage: Some(TokenId::parse("root").unwrap()),
        extra: json!({"groups": ["x"]}).as_object().unwrap().clone(),
        ..Claims::new(Issuer::parse(ISSUER).unwrap(), subject("s"), audience(AUDIENCE), at(NOW + 300))
    }
}

#[test]
fn full_claims_come_back() {
    let signed = sign(&full_claims(), TokenType::AccessToken, key()).unwrap();
    let verified = read(signed.expose()).unwrap();
    assert_eq!(*verified.claims(), full_claims());
    assert_eq!((verified.hash(), signed.hash()), (TokenHash::of(signed.expose()), verified.hash()));
}

#[test]
fn an_extra_claim_replaces_none_of_ours() {
    let mut claims = full_claims();
    claims.extra.insert("sub".to_owned(), "root".into());
    claims.extra.insert("exp".to_owned(), (NOW + 3000).into());
    let signed = sign(&claims, TokenType::AccessToken, key()).unwrap();
    assert_eq!(*read(signed.expose()).unwrap().claims(), full_claims());
}

#[test]
fn what_does_not_say_what_it_is_or_whom_it_is_for_is_not_signed() {
    assert_eq!(sign(&full_claims(), TokenType::Absent, key()).unwrap_err(), TokenError::WrongType);
    let claims = Claims { audiences: vec![], ..full_claims() };
    assert_eq!(
        sign(&claims, TokenType::AccessToken, key()).unwrap_err(),
        TokenError::MissingClaim { claim: "aud" }
    );
    let mut claims = full_claims();
    claims.extra.insert("large".to_owned(), "x".repeat(20_000).into());
    let refused = sign(&claims, TokenType::AccessToken, key()).unwrap_err();
    assert!(matches!(refused, TokenError::Signing(_)) && refused.is_our_fault());
}

#[test]
fn a_signed_token_is_never_shown() {
    let signed = sign(&full_claims(), TokenType::AccessToken, key()).unwrap();
    let verified = read(signed.expose()).unwrap();
    let shown = format!("{signed:?} {verified:?} {:?} {}", signed.hash(), signed.hash());
    assert!(signed.expose().split('.').all(|part| !shown.contains(part)), "{shown}");
    assert_eq!(signed.hash().to_string().len(), 16);
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let word = "[!-~]{1,40}";
    let subject = "[^\\p{C}]{1,40}";
    (
        subject,
        proptest::option::of(word),
        proptest::option::of(word),
        1_u64..3600,
        proptest::collection::btree_set("[a-z:]{1,8}", 0..4),
    )
        .prop_map(|(subject, client, id, life, scopes)| Claims {
            client_id: client.map(|text| ClientId::parse(&text).unwrap()),
            token_id: id.map(|text| TokenId::parse(&text).unwrap()),
            scopes: Scopes::parse(&scopes.into_iter().collect::<Vec<_>>().join(" ")).unwrap(),
            issued_at: Some(at(NOW)),
            ..Claims::new(
                Issuer::parse(ISSUER).unwrap(),
                Subject::parse(&subject).unwrap(),
                audience(AUDIENCE),
                at(NOW + life),
            )
        })
}

proptest! {
    #[test]
    fn any_claims_come_back(claims in any_claims()) {
        let signed = sign(&claims, TokenType::AccessToken, key()).unwrap();
        let verified = read(signed.expose()).unwrap();
        prop_assert_eq!(verified.claims(), &claims);
    }

    #[test]
    fn any_changed_byte_is_refused(position in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let mut bytes = sign(&full_claims(), TokenType::AccessToken, key()).unwrap().expose().as_bytes().to_vec();
        let position = position.index(bytes.len());
        prop_assume!(bytes[position] != byte);
        bytes[position] = byte;
        prop_assert!(read(std::str::from_utf8(&bytes).unwrap()).is_err());
    }

    #[test]
    fn no_claims_make_the_reader_panic(claims in "\\{(\"(iss|sub|aud|exp|iat|cnf|act)\":(\"x\"|-?[0-9]{1,25}|\\[\\]|\\{\\}|null|1e9),?){0,6}\\}", text in ".{0,200}") {
        let _ = Forger::new().outcome(&claims);
        let _ = Forger::new().outcome(&text);
        let _ = UnverifiedToken::parse(&text);
    }
}
