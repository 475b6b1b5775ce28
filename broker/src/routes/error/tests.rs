use std::collections::BTreeSet;

use symbolon_cel::EvalError;
use symbolon_identity::{GroupName, IssuerName, ProviderName, Timestamp, WorkloadId};
use symbolon_issuers::{IntrospectionError, IntrospectionFailure};
use symbolon_policies::{
    Action, Assurance, Context, Denial, PolicyFile, PolicySet, Question, Resource, Workload,
};
use symbolon_proof::ProofError;
use symbolon_token::{ClaimName, TokenHash};
use symbolon_wire::FormError;

use super::*;
use crate::attest::MappingError;
use crate::claims::ClaimError;
use crate::refusal::Party;
use crate::subject::SubjectError;

/// The place of each variant; a new one does not compile until it stands here, and then the table must show it.
fn place(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::RateLimited => 0,
        Refusal::Busy => 1,
        Refusal::TimedOut => 2,
        Refusal::TooLarge => 3,
        Refusal::Malformed(_) => 4,
        Refusal::Form(_) => 5,
        Refusal::OriginNotAllowed => 6,
        Refusal::AuthorizationHeader(_) => 7,
        Refusal::UnsupportedGrantType => 8,
        Refusal::UnsupportedAssertionType => 9,
        Refusal::EvidenceMissing => 10,
        Refusal::AssertionMalformed(_) => 11,
        Refusal::UnknownClient => 12,
        Refusal::ClientMismatch => 13,
        Refusal::ProviderAmbiguous => 14,
        Refusal::ClientAssertion(_) => 15,
        Refusal::UnknownKey => 16,
        Refusal::Evidence(_) => 17,
        Refusal::EvidenceBound => 18,
        Refusal::EvidenceUnproved { .. } => 19,
        Refusal::Process(_) => 20,
        Refusal::Mapping { .. } => 21,
        Refusal::Proof(_) => 22,
        Refusal::ProofHeader => 23,
        Refusal::ProofMissing => 24,
        Refusal::InvalidTarget(_) => 25,
        Refusal::InvalidScope(_) => 26,
        Refusal::GroupUndetermined { .. } => 27,
        Refusal::Denied(_) => 28,
        Refusal::Undetermined(_) => 29,
        Refusal::EvidenceExpiring { .. } => 30,
        Refusal::Conflict(_) => 31,
        Refusal::Signing(_) => 32,
        Refusal::Random(_) => 33,
        Refusal::UnsupportedTokenType => 34,
        Refusal::PresentedMalformed { .. } => 35,
        Refusal::Presented { .. } => 36,
        Refusal::PresentedKind { .. } => 37,
        Refusal::PresentedMapping { .. } => 38,
        Refusal::NotAddressed { .. } => 39,
        Refusal::MayAct => 40,
        Refusal::ActorLoop => 41,
        Refusal::TooManyActors { .. } => 42,
        Refusal::ScopeExceedsSubject => 43,
        Refusal::ExchangeDenied(_) => 44,
        Refusal::ExchangeUndetermined(_) => 45,
        Refusal::StatusToken(_) => 46,
        Refusal::StatusScope => 47,
        Refusal::CallerRevoked => 48,
        Refusal::SubjectRevoked => 49,
        Refusal::ClaimUndetermined { .. } => 50,
        Refusal::NoSigningKey(_) => 51,
        Refusal::EvidenceDelegated => 52,
        Refusal::KeyOfNone => 53,
        Refusal::Pod(_) => 54,
        Refusal::OtherKey => 55,
        Refusal::PinUnavailable => 56,
    }
}

const VARIANTS: usize = 57;

/// A denial by a set with these policies.
fn denial(policies: &str) -> Denial {
    let id = WorkloadId::parse("spiffe://example.com/a").unwrap();
    let principal = Workload::new(id, ProviderName::parse("p").unwrap(), Assurance::Signed).into();
    let resource = Resource::new("orders".parse().unwrap());
    let context = Context::at(Timestamp::default());
    let question = Question { principal, action: Action::Issue { resource, scope: None }, context };
    let set = PolicySet::from_files(vec![PolicyFile::new("a.cedar", policies)], &BTreeSet::new()).unwrap();
    set.decide(&question).into_result().unwrap_err()
}

fn keys_unavailable() -> IssuerError {
    let issuer = IssuerName::parse("ci").unwrap();
    IssuerError::KeysUnavailable { issuer, retry_after: Duration::from_secs(7) }
}

fn idp() -> IssuerName {
    IssuerName::parse("idp").unwrap()
}

fn silent() -> IntrospectionError {
    IntrospectionError::Unavailable {
        issuer: idp(),
        retry_after: SOON,
        source: IntrospectionFailure::TimedOut,
    }
}

fn expired() -> TokenError {
    TokenError::Expired { at: Timestamp::default() }
}

fn provider() -> ProviderName {
    ProviderName::parse("p").unwrap()
}

#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "one table, one line a refusal")]
fn table() -> Vec<(Refusal, u16, &'static str, &'static str)> {
    let token = |source| Refusal::Evidence(IssuerError::Token { issuer: IssuerName::parse("ci").unwrap(), source });
    let evaluation = || EvalError::Absent(None);
    let party = Party::Subject;
    vec![
        (Refusal::RateLimited, 429, "temporarily_unavailable", "rate_limited"),
        (Refusal::Busy, 503, "temporarily_unavailable", "busy"),
        (Refusal::TimedOut, 503, "temporarily_unavailable", "busy"),
        (Refusal::TooLarge, 413, "invalid_request", "too_large"),
        (Refusal::Malformed("x"), 400, "invalid_request", "malformed_request"),
        (Refusal::Form(FormError::Escape), 400, "invalid_request", "malformed_request"),
        (Refusal::OriginNotAllowed, 403, "invalid_request", "origin_not_allowed"),
        (Refusal::AuthorizationHeader(Scheme::Other), 401, "invalid_client", "authorization_header"),
        (Refusal::UnsupportedGrantType, 400, "unsupported_grant_type", "unsupported_grant_type"),
        (Refusal::UnsupportedAssertionType, 401, "invalid_client", "unsupported_assertion_type"),
        (Refusal::EvidenceMissing, 401, "invalid_client", "evidence_missing"),
        (Refusal::AssertionMalformed(TokenError::WrongType), 401, "invalid_client", "assertion_malformed"),
        (Refusal::UnknownClient, 401, "invalid_client", "unknown_client"),
        (Refusal::ClientMismatch, 401, "invalid_client", "unknown_client"),
        (Refusal::ProviderAmbiguous, 400, "invalid_request", "provider_ambiguous"),
        (Refusal::ClientAssertion(TokenError::WrongAudience), 401, "invalid_client", "assertion_rejected"),
        (Refusal::ClientAssertion(expired()), 401, "invalid_client", "expired"),
        (Refusal::UnknownKey, 401, "invalid_client", "unknown_kid"),
        (Refusal::Evidence(IssuerError::UnknownIssuer), 401, "invalid_client", "unknown_client"),
        (Refusal::Evidence(keys_unavailable()), 503, "temporarily_unavailable", "jwks_unavailable"),
        (token(TokenError::WrongType), 401, "invalid_client", "assertion_rejected"),
        (token(expired()), 401, "invalid_client", "expired"),
        (Refusal::EvidenceDelegated, 401, "invalid_client", "assertion_rejected"),
        (Refusal::EvidenceBound, 401, "invalid_client", "evidence_key_mismatch"),
        (Refusal::EvidenceUnproved { provider: provider() }, 401, "invalid_client", "evidence_key_mismatch"),
        (Refusal::Process(ProcessError::Ended), 401, "invalid_client", "mapping_failed"),
        (Refusal::Process(ProcessError::Interrupted), 503, "temporarily_unavailable", "busy"),
        (Refusal::Mapping { provider: provider(), source: MappingError::OutsideNamespace }, 401, "invalid_client", "mapping_failed"),
        (Refusal::Proof(ProofError::WrongTarget), 400, "invalid_dpop_proof", "proof_invalid"),
        (Refusal::Proof(ProofError::TooOld { issued_at: Timestamp::default() }), 400, "invalid_dpop_proof", "proof_expired"),
        (Refusal::ProofHeader, 400, "invalid_dpop_proof", "proof_invalid"),
        (Refusal::ProofMissing, 400, "invalid_dpop_proof", "proof_missing"),
        (Refusal::InvalidTarget("x"), 400, "invalid_target", "invalid_target"),
        (Refusal::InvalidScope("x"), 400, "invalid_scope", "invalid_scope"),
        (Refusal::ClaimUndetermined { claim: ClaimName::parse("tenant").unwrap(), source: ClaimError::Kind }, 400, "access_denied", "claim_undetermined"),
        (Refusal::GroupUndetermined { group: GroupName::parse("g").unwrap(), source: evaluation() }, 400, "access_denied", "group_undetermined"),
        (Refusal::from(denial("")), 400, "access_denied", "denied"),
        (Refusal::from(denial("@id(\"f\") forbid (principal, action, resource);")), 400, "access_denied", "denied"),
        (Refusal::Undetermined(denial("")), 400, "access_denied", "undetermined"),
        (Refusal::EvidenceExpiring { least: Duration::from_secs(30) }, 401, "invalid_client", "evidence_expiring"),
        (Refusal::Conflict(Conflict::EvidenceReplayed), 401, "invalid_client", "evidence_replayed"),
        (Refusal::Conflict(Conflict::EvidenceKeyMismatch), 401, "invalid_client", "evidence_key_mismatch"),
        (Refusal::Conflict(Conflict::ProofReplayed), 400, "invalid_dpop_proof", "proof_replayed"),
        (Refusal::Conflict(Conflict::SigningKeyGone), 503, "temporarily_unavailable", "token_unavailable"),
        (Refusal::NoSigningKey(symbolon_jws::Algorithm::Rs256), 503, "temporarily_unavailable", "token_unavailable"),
        (Refusal::Signing(TokenError::WrongType), 503, "temporarily_unavailable", "token_unavailable"),
        (Refusal::Random(symbolon_jws::CryptoError), 503, "temporarily_unavailable", "token_unavailable"),
        (Refusal::UnsupportedTokenType, 400, "invalid_request", "unsupported_token_type"),
        (Refusal::PresentedMalformed { party, error: TokenError::WrongType }, 400, "invalid_request", "wrong_type"),
        (Refusal::Presented { party, source: OwnTokenError::UnknownKey.into() }, 400, "invalid_request", "unknown_kid"),
        (Refusal::Presented { party, source: OwnTokenError::Token(expired()).into() }, 400, "invalid_request", "expired"),
        (Refusal::Presented { party, source: OwnTokenError::Revoked.into() }, 400, "invalid_request", "revoked"),
        (Refusal::Presented { party, source: IssuerError::UnknownIssuer.into() }, 400, "invalid_request", "unknown_issuer"),
        (Refusal::Presented { party, source: keys_unavailable().into() }, 503, "temporarily_unavailable", "jwks_unavailable"),
        (Refusal::Presented { party, source: IntrospectionError::Inactive { issuer: idp(), token: TokenHash::of("t") }.into() }, 400, "invalid_request", "inactive"),
        (Refusal::Presented { party, source: IntrospectionError::Token { issuer: idp(), source: expired() }.into() }, 400, "invalid_request", "expired"),
        (Refusal::Presented { party, source: silent().into() }, 503, "temporarily_unavailable", "issuer_unavailable"),
        (Refusal::Presented { party, source: IntrospectionError::Resting { issuer: idp(), retry_after: Duration::from_secs(7) }.into() }, 503, "temporarily_unavailable", "issuer_unavailable"),
        (Refusal::Presented { party, source: IntrospectionError::Busy { issuer: idp(), retry_after: SOON }.into() }, 503, "temporarily_unavailable", "busy"),
        (Refusal::PresentedKind { party }, 400, "invalid_request", "wrong_type"),
        (Refusal::PresentedMapping { party, source: SubjectError::Condition }, 400, "invalid_request", "mapping_failed"),
        (Refusal::NotAddressed { party }, 400, "invalid_request", "subject_not_addressed"),
        (Refusal::MayAct, 400, "invalid_request", "actor_not_allowed"),
        (Refusal::ActorLoop, 400, "invalid_request", "actor_loop"),
        (Refusal::TooManyActors { depth: 5, limit: 4 }, 400, "invalid_request", "actor_chain_too_long"),
        (Refusal::ScopeExceedsSubject, 400, "invalid_scope", "scope_exceeds_subject"),
        (Refusal::from(denial("")).of_exchange(), 400, "invalid_target", "denied"),
        (Refusal::Undetermined(denial("")).of_exchange(), 400, "invalid_target", "undetermined"),
        (Refusal::StatusToken(OwnTokenError::UnknownKey), 401, "invalid_request", "unknown_kid"),
        (Refusal::StatusScope, 403, "invalid_scope", "insufficient_scope"),
        (Refusal::KeyOfNone, 401, "invalid_client", "unknown_kid"),
        (Refusal::Pod(PodError::Gone("x")), 401, "invalid_client", "pod_gone"),
        (Refusal::Pod(PodError::NotConfirmed("x")), 401, "invalid_client", "review_rejected"),
        (Refusal::Pod(PodError::Stale), 503, "temporarily_unavailable", "platform_unavailable"),
        (Refusal::Pod(ClusterError::Busy.into()), 503, "temporarily_unavailable", "busy"),
        (Refusal::Pod(ClusterError::TimedOut.into()), 503, "temporarily_unavailable", "platform_unavailable"),
        (Refusal::OtherKey, 401, "invalid_client", "evidence_key_mismatch"),
        (Refusal::PinUnavailable, 503, "temporarily_unavailable", "store_unavailable"),
        (Refusal::CallerRevoked, 400, "unauthorized_client", "revoked"),
        (Refusal::SubjectRevoked, 400, "invalid_request", "revoked"),
    ]
}

#[test]
fn every_refusal_has_its_status_oauth_code_and_reason() {
    let mut seen = BTreeSet::new();
    for (refusal, status, error, reason) in table() {
        let face = face(&refusal);
        let code = serde_json::to_value(face.error).unwrap();
        assert_eq!(
            (face.status.as_u16(), code.as_str().unwrap(), face.reason.as_str()),
            (status, error, reason),
            "{refusal:?}"
        );
        seen.insert(place(&refusal));
    }
    assert_eq!(seen, (0..VARIANTS).collect());
}

#[test]
fn an_outage_says_when_to_try_again_and_a_refusal_does_not() {
    for (refusal, ..) in table() {
        let face = face(&refusal);
        let is_outage = matches!(face.status.as_u16(), 429 | 503);
        assert_eq!(face.retry_after.is_some(), is_outage, "{refusal:?}");
    }
    let response = refused(face(&Refusal::Evidence(keys_unavailable())), None);
    assert_eq!(response.headers()[RETRY_AFTER], "7");
}

#[test]
fn an_answer_that_is_not_on_record_is_an_outage() {
    for (error, reason) in [(LedgerError::Full, "busy"), (LedgerError::Unavailable, "store_unavailable")] {
        let face = unrecorded(error);
        assert_eq!((face.status.as_u16(), face.reason.as_str()), (503, reason));
    }
}
