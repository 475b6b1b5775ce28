//! The optional claims: what each becomes, and what is refused.

use symbolon_identity::{ClientId, TokenId};

use super::*;
use crate::{Actor, RequiredClaim};

#[test]
fn optional_claims_are_read() {
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": [AUDIENCE], "iat": NOW, "nbf": NOW, "exp": NOW + 300, "jti": "id-1",
        "client_id": "spiffe://example.com/shop", "scope": "orders:write orders:read", "lineage": "id-0",
        "act": {"sub": "b", "iss": "https://other.example", "act": {"sub": "a", "ignored": true}},
        "groups": ["x"], "custom": null,
    });
    let verified = Forger::new().outcome(&claims.to_string()).unwrap();
    let claims = verified.claims();
    assert_eq!(claims.client_id, Some(ClientId::parse("spiffe://example.com/shop").unwrap()));
    assert_eq!(claims.token_id, Some(TokenId::parse("id-1").unwrap()));
    assert_eq!(claims.lineage, Some(TokenId::parse("id-0").unwrap()));
    assert_eq!(claims.scopes.as_str(), "orders:read orders:write");
    let chain: Vec<&str> =
        claims.actor.as_ref().unwrap().chain().map(|actor| actor.subject.as_str()).collect();
    assert_eq!(chain, ["b", "a"]);
    assert_eq!(Value::Object(claims.extra.clone()), json!({"groups": ["x"], "custom": null}));
}

#[test]
fn optional_claims_of_another_form_are_refused() {
    let forger = Forger::new();
    let long = format!("\"{}\"", "j".repeat(257));
    for (claim, value) in [
        ("jti", "1"),
        ("jti", "\"\""),
        ("jti", &long),
        ("client_id", "null"),
        ("client_id", "[\"a\"]"),
        ("scope", "[\"a\"]"),
        ("scope", "\"a  b\""),
        ("scope", "null"),
        ("act", "\"a\""),
        ("act", "{}"),
        ("act", r#"{"sub":1}"#),
        ("act", r#"{"sub":"a","act":[]}"#),
        ("act", r#"{"sub":"a","iss":1}"#),
        ("lineage", "{}"),
    ] {
        let refused = forger.outcome(&with(claim, Some(value))).unwrap_err();
        assert!(matches!(refused, TokenError::Claim { .. }), "{claim} {value:.40}: {refused}");
    }
}

#[test]
fn a_required_claim_must_be_there() {
    let forger = Forger::new();
    let audience = audience(AUDIENCE);
    let token = UnverifiedToken::parse(
        &forger
            .sign(HEADER, &json!({"iss": ISSUER, "sub": "x", "aud": AUDIENCE, "exp": NOW + 300}).to_string()),
    )
    .unwrap();
    for (required, claim) in [
        (RequiredClaim::TokenId, "jti"),
        (RequiredClaim::IssuedAt, "iat"),
        (RequiredClaim::NotBefore, "nbf"),
        (RequiredClaim::ClientId, "client_id"),
        (RequiredClaim::Confirmation, "cnf"),
    ] {
        let required = [required];
        let expectations = Expectations {
            required: &required,
            ..Expectations::access_token(ISSUER, AudienceRule::Sole(&audience))
        };
        let refused = token.verify(&forger.key, &expectations, at(NOW)).unwrap_err();
        assert_eq!(refused, TokenError::MissingClaim { claim });
    }
}

#[test]
fn the_longest_chain_of_actors_is_read() {
    let chain = (1..Actor::MAX_CHAIN).fold(json!({"sub": "a"}), |chain, _| json!({"sub": "a", "act": chain}));
    let verified = Forger::new().outcome(&with("act", Some(&chain.to_string()))).unwrap();
    assert_eq!(verified.claims().actor.as_ref().unwrap().chain().count(), Actor::MAX_CHAIN);
}
