//! Tokens that are bound to a key (RFC 7800, RFC 9449 §6).

use symbolon_identity::ReasonCode;
use symbolon_jws::Algorithm;
use symbolon_proof::{CheckedProof, ProofExpectation, ProofKey, ProofRequest, check};

use super::*;

fn proof(key: &ProofKey, access_token: Option<&str>) -> CheckedProof {
    let request = ProofRequest { method: "GET", target_uri: AUDIENCE, access_token, nonce: None };
    let expectation = ProofExpectation { method: "GET", targets: &[AUDIENCE], access_token, nonce: None };
    check(&key.prove(&request, at(NOW)).unwrap(), &expectation, at(NOW)).unwrap()
}

#[test]
fn j27_a_bound_token_needs_a_proof_of_its_own_key_for_itself() {
    let (forger, key, thief) = (
        Forger::new(),
        ProofKey::generate(Algorithm::Es256).unwrap(),
        ProofKey::generate(Algorithm::Es256).unwrap(),
    );
    let cnf = json!({"jkt": key.thumbprint()}).to_string();
    let token = forger.sign(HEADER, &with("cnf", Some(&cnf)));
    let audience = audience(AUDIENCE);
    let expectations = Expectations::access_token(ISSUER, AudienceRule::Sole(&audience));
    let verified =
        UnverifiedToken::parse(&token).unwrap().verify(&forger.key, &expectations, at(NOW)).unwrap();

    assert_eq!(verified.check_binding(Some(&proof(&key, Some(&token)))), Ok(()));
    let missing = verified.check_binding(None).unwrap_err();
    assert_eq!((missing.reason_code(), missing), (ReasonCode::ProofMissing, TokenError::ProofMissing));
    for stolen in [proof(&thief, Some(&token)), proof(&key, Some("another token")), proof(&key, None)] {
        let refused = verified.check_binding(Some(&stolen)).unwrap_err();
        assert_eq!(
            (refused.reason_code(), refused),
            (ReasonCode::BindingMismatch, TokenError::BindingMismatch)
        );
    }
}

#[test]
fn j27_a_token_bound_to_a_certificate_is_refused_without_one() {
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    for cnf in [
        json!({"x5t#S256": key.thumbprint()}),
        json!({"x5t#S256": key.thumbprint(), "jkt": key.thumbprint()}),
    ] {
        let verified = Forger::new().outcome(&with("cnf", Some(&cnf.to_string()))).unwrap();
        assert_eq!(verified.check_binding(None), Err(TokenError::CertificateMissing));
        assert_eq!(verified.check_binding(Some(&proof(&key, None))), Err(TokenError::CertificateMissing));
    }
}

#[test]
fn j27_a_binding_that_cannot_be_checked_is_refused() {
    let forger = Forger::new();
    for cnf in
        [r#"{"jwk":{}}"#, r#"{"kid":"x"}"#, r#"{"jwe":"x"}"#, r#"{"jku":"https://evil.example/","kid":"x"}"#]
    {
        let refused = forger.outcome(&with("cnf", Some(cnf))).unwrap_err();
        assert_eq!(refused, TokenError::UnsupportedConfirmation, "{cnf}");
    }
    for cnf in
        ["null", "{}", "[]", "\"x\"", r#"{"jkt":1}"#, r#"{"jkt":null}"#, r#"{"jkt":""}"#, r#"{"jkt":"AAAA"}"#]
    {
        let refused = forger.outcome(&with("cnf", Some(cnf))).unwrap_err();
        assert_eq!(refused, TokenError::Claim { claim: "cnf" }, "{cnf}");
    }
}

#[test]
fn an_unbound_token_passes_with_and_without_a_proof() {
    let verified = Forger::new().outcome(&good_claims().to_string()).unwrap();
    assert_eq!(verified.check_binding(None), Ok(()));
    let key = ProofKey::generate(Algorithm::EdDsa).unwrap();
    assert_eq!(verified.check_binding(Some(&proof(&key, None))), Ok(()));
}
