use std::time::Duration;

use symbolon_identity::{Audience, IssuerName, ReasonCode};
use symbolon_jws::{Algorithm, SigningHeader, SigningKey};
use symbolon_token::{AudienceRule, TokenError, TokenType, UnverifiedToken};

use super::{
    Answer, House, KeySource, NOW, at, audience, client, issuers, key, key_set, only, settings, token, verify,
};
use crate::{IssuerError, IssuerSettings, Issuers, KeyPolicy};

const A: &str = "https://a.example";
const B: &str = "https://b.example";

fn inline(issuer: &str, keys: &[&SigningKey]) -> IssuerSettings {
    settings(issuer, KeySource::Inline(key_set(keys)))
}

fn code(error: &IssuerError) -> &'static str {
    error.reason_code().as_str()
}

#[tokio::test]
async fn a_key_of_one_issuer_never_proves_a_token_of_another() {
    let (key_a, key_b) = (key(), key());
    let b = IssuerSettings { name: IssuerName::parse("b").unwrap(), ..inline(B, &[&key_b]) };
    let both = Issuers::new(vec![inline(A, &[&key_a]), b], KeyPolicy::default(), client(), at(0)).unwrap();
    assert!(verify(&both, &token(A, &key_a, at(0)), at(0)).await.is_ok());
    assert!(verify(&both, &token(B, &key_b, at(0)), at(0)).await.is_ok());
    let crossed = verify(&both, &token(B, &key_a, at(0)), at(0)).await.unwrap_err();
    assert_eq!(code(&crossed), "unknown_kid");
    let issuer_a = both.find(A).unwrap();
    let handed = issuer_a.verify(&token(B, &key_b, at(0)), AudienceRule::Contains(&audience()), at(0)).await;
    assert!(matches!(handed, Err(IssuerError::UnknownIssuer)));
}

#[tokio::test]
async fn an_issuer_is_named_byte_by_byte() {
    let key = key();
    let issuers = issuers(inline(A, &[&key]), KeyPolicy::default());
    for other in ["https://a.example/", "https://A.example", "http://a.example", "a.example"] {
        let refused = verify(&issuers, &token(other, &key, at(0)), at(0)).await.unwrap_err();
        assert!(matches!(refused, IssuerError::UnknownIssuer), "{other}");
    }
}

#[tokio::test]
async fn nobody_can_ask_for_an_audience_that_the_issuer_is_not_trusted_for() {
    let key = key();
    let issuers = issuers(inline(A, &[&key]), KeyPolicy::default());
    let (ours, other) = (audience(), Audience::parse("https://billing.internal").unwrap());
    let both = [ours.clone(), other.clone()];
    let token = token(A, &key, at(0));
    for rule in [
        AudienceRule::Contains(&other),
        AudienceRule::Sole(&other),
        AudienceRule::ContainsAny(&both),
        AudienceRule::SoleAny(&[]),
    ] {
        let refused = issuers.verify(&token, rule, at(0)).await.unwrap_err();
        assert!(
            matches!(refused, IssuerError::AudienceNotTrusted { .. }) && refused.is_our_fault(),
            "{rule:?}"
        );
    }
    for rule in
        [AudienceRule::Contains(&ours), AudienceRule::Sole(&ours), AudienceRule::ContainsAny(&both[..1])]
    {
        assert!(issuers.verify(&token, rule, at(0)).await.is_ok(), "{rule:?}");
    }
}

#[tokio::test]
async fn algorithm_type_and_lifetime_are_the_issuers() {
    let key = key();
    let eddsa = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let good = || inline(A, &[&key, &eddsa]);
    let token = token(A, &key, at(0));
    for (settings, expected) in [
        (IssuerSettings { algorithms: Some(vec![Algorithm::EdDsa]), ..good() }, ReasonCode::AlgNotAllowed),
        (IssuerSettings { token_types: vec![TokenType::Jwt], ..good() }, ReasonCode::WrongType),
        (IssuerSettings { max_lifetime: Duration::from_mins(59), ..good() }, ReasonCode::LifetimeTooLong),
    ] {
        let issuers = issuers(settings, KeyPolicy::default());
        assert_eq!(verify(&issuers, &token, at(0)).await.unwrap_err().reason_code(), expected);
    }
    let only_eddsa =
        issuers(IssuerSettings { algorithms: Some(vec![Algorithm::EdDsa]), ..good() }, KeyPolicy::default());
    assert!(!only(&only_eddsa).holds(&key.thumbprint(), at(0)), "a key that may not be used is not held");
    assert!(only(&only_eddsa).holds(&eddsa.thumbprint(), at(0)));
}

#[tokio::test]
async fn thousands_of_requests_during_an_outage_succeed_and_ask_nobody() {
    let house = House::new().await;
    house.server.answer(Answer::Close);
    let (token, hits) = (house.token(), house.server.hits());
    for now in 0..2000 {
        assert!(verify(&house.issuers, &token, at(now)).await.is_ok());
    }
    assert_eq!(house.server.hits(), hits);
}

#[tokio::test]
async fn an_access_token_says_when_it_was_issued_and_a_plain_jwt_need_not() {
    let key = key();
    let types = vec![TokenType::AccessToken, TokenType::Jwt];
    let issuers = issuers(IssuerSettings { token_types: types, ..inline(A, &[&key]) }, KeyPolicy::default());
    let claims = serde_json::json!({
        "iss": A, "sub": "a", "aud": "https://orders.internal", "exp": NOW + 600,
    });
    let signed = |token_type| {
        let signed = key.sign(&SigningHeader::typed(token_type), claims.to_string().as_bytes()).unwrap();
        UnverifiedToken::parse(&signed).unwrap()
    };
    let refused = verify(&issuers, &signed("at+jwt"), at(0)).await.unwrap_err();
    let without_iat = TokenError::MissingClaim { claim: "iat" };
    assert!(
        matches!(&refused, IssuerError::Token { source, .. } if source.to_string() == without_iat.to_string()),
        "{refused:?}"
    );
    assert!(verify(&issuers, &signed("JWT"), at(0)).await.is_ok());
}
