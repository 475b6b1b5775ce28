//! The one map from refusals to what callers are told, and the answers themselves.
//! Not here: the reasons in detail; they stay on the operator's side.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use symbolon_identity::{DecisionId, ReasonCode};
use symbolon_issuers::IssuerError;
use symbolon_token::TokenError;
use symbolon_wire::{ErrorCode, OAuthError};

use crate::attest::{ClusterError, DigestError, PodError, ProcessError};
use crate::audit::{AuditError, Audited};
use crate::inspect::InspectError;
use crate::own_tokens::OwnTokenError;
use crate::refusal::{Refusal, Scheme};
use crate::store::{Conflict, LedgerError};
use crate::subject::PresentedError;

/// What a caller is told of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Face {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The OAuth code.
    pub(crate) error: ErrorCode,
    /// The stable reason code.
    pub(crate) reason: ReasonCode,
    /// When it is worth trying again.
    pub(crate) retry_after: Option<Duration>,
}

const SOON: Duration = Duration::from_secs(1);

const fn bad(error: ErrorCode, reason: ReasonCode) -> Face {
    Face { status: StatusCode::BAD_REQUEST, error, reason, retry_after: None }
}

/// Evidence failed (RFC 6749 §5.2).
const fn unproven(reason: ReasonCode) -> Face {
    Face { status: StatusCode::UNAUTHORIZED, error: ErrorCode::InvalidClient, reason, retry_after: None }
}

const fn outage(reason: ReasonCode, retry_after: Duration) -> Face {
    Face {
        status: StatusCode::SERVICE_UNAVAILABLE,
        error: ErrorCode::TemporarilyUnavailable,
        reason,
        retry_after: Some(retry_after),
    }
}

const fn with_status(status: StatusCode, face: Face) -> Face {
    Face { status, ..face }
}

const fn forbidden(error: ErrorCode, reason: ReasonCode) -> Face {
    with_status(StatusCode::FORBIDDEN, bad(error, reason))
}

/// The token for the feed is not taken.
const fn no_token(reason: ReasonCode) -> Face {
    with_status(StatusCode::UNAUTHORIZED, bad(ErrorCode::InvalidRequest, reason))
}

/// The map.
#[expect(clippy::too_many_lines, reason = "one exhaustive map, one line a refusal")]
pub(crate) fn face(refusal: &Refusal) -> Face {
    use ErrorCode as Code;
    use ReasonCode as Reason;
    match refusal {
        Refusal::RateLimited => with_status(StatusCode::TOO_MANY_REQUESTS, outage(Reason::RateLimited, SOON)),
        Refusal::Busy | Refusal::TimedOut => outage(Reason::Busy, SOON),
        Refusal::TooLarge => {
            with_status(StatusCode::PAYLOAD_TOO_LARGE, bad(Code::InvalidRequest, Reason::TooLarge))
        }
        Refusal::Malformed(_) | Refusal::Form(_) => bad(Code::InvalidRequest, Reason::MalformedRequest),
        Refusal::OriginNotAllowed => forbidden(Code::InvalidRequest, Reason::OriginNotAllowed),
        Refusal::AuthorizationHeader(_) => unproven(Reason::AuthorizationHeader),
        Refusal::UnsupportedGrantType => bad(Code::UnsupportedGrantType, Reason::UnsupportedGrantType),
        Refusal::ProviderAmbiguous => bad(Code::InvalidRequest, Reason::ProviderAmbiguous),
        Refusal::UnsupportedAssertionType => unproven(Reason::UnsupportedAssertionType),
        Refusal::EvidenceMissing => unproven(Reason::EvidenceMissing),
        Refusal::AssertionMalformed(error) => unproven(malformed_reason(error)),
        Refusal::UnknownClient | Refusal::ClientMismatch => unproven(Reason::UnknownClient),
        Refusal::ClientAssertion(error) => unproven(assertion_reason(error)),
        Refusal::UnknownKey | Refusal::KeyOfNone => unproven(Reason::UnknownKid),
        Refusal::Evidence(error) => evidence_face(error),
        Refusal::EvidenceDelegated => unproven(Reason::AssertionRejected),
        Refusal::EvidenceBound | Refusal::EvidenceUnproved { .. } | Refusal::OtherKey => {
            unproven(Reason::EvidenceKeyMismatch)
        }
        Refusal::Pod(error) => pod_face(error),
        Refusal::PinUnavailable => outage(Reason::StoreUnavailable, SOON),
        Refusal::Process(error) => process_face(error),
        Refusal::Mapping { .. } => unproven(Reason::MappingFailed),
        Refusal::Proof(error) => bad(Code::InvalidDpopProof, error.reason_code()),
        Refusal::ProofHeader => bad(Code::InvalidDpopProof, Reason::ProofInvalid),
        Refusal::ProofMissing => bad(Code::InvalidDpopProof, Reason::ProofMissing),
        Refusal::InvalidTarget(_) => bad(Code::InvalidTarget, Reason::InvalidTarget),
        Refusal::InvalidScope(_) => bad(Code::InvalidScope, Reason::InvalidScope),
        // RFC 8693 §2.2.2: not RFC 7009's code of the same name, which is about revocation.
        Refusal::UnsupportedTokenType => bad(Code::InvalidRequest, Reason::UnsupportedTokenType),
        Refusal::PresentedMalformed { error, .. } => bad(Code::InvalidRequest, error.reason_code()),
        Refusal::Presented { source, .. } => presented_face(source),
        Refusal::PresentedKind { .. } => bad(Code::InvalidRequest, Reason::WrongType),
        Refusal::PresentedMapping { .. } => bad(Code::InvalidRequest, Reason::MappingFailed),
        Refusal::NotAddressed { .. } => bad(Code::InvalidRequest, Reason::SubjectNotAddressed),
        Refusal::MayAct => bad(Code::InvalidRequest, Reason::ActorNotAllowed),
        Refusal::ActorLoop => bad(Code::InvalidRequest, Reason::ActorLoop),
        Refusal::TooManyActors { .. } => bad(Code::InvalidRequest, Reason::ActorChainTooLong),
        Refusal::ScopeExceedsSubject => bad(Code::InvalidScope, Reason::ScopeExceedsSubject),
        // RFC 8693 §2.2.2: we are unwilling to issue a token for this target.
        Refusal::ExchangeDenied(_) => bad(Code::InvalidTarget, Reason::Denied),
        Refusal::ExchangeUndetermined(_) => bad(Code::InvalidTarget, Reason::Undetermined),
        Refusal::StatusToken(error) => no_token(own_token_reason(error)),
        Refusal::StatusScope => forbidden(Code::InvalidScope, Reason::InsufficientScope),
        Refusal::CallerRevoked => bad(Code::UnauthorizedClient, Reason::Revoked),
        Refusal::SubjectRevoked => bad(Code::InvalidRequest, Reason::Revoked),
        Refusal::GroupUndetermined { .. } => bad(Code::AccessDenied, Reason::GroupUndetermined),
        Refusal::ClaimUndetermined { .. } => bad(Code::AccessDenied, Reason::ClaimUndetermined),
        Refusal::Denied(_) => bad(Code::AccessDenied, Reason::Denied),
        Refusal::Undetermined(_) => bad(Code::AccessDenied, Reason::Undetermined),
        Refusal::EvidenceExpiring { .. } => unproven(Reason::EvidenceExpiring),
        Refusal::Conflict(Conflict::ProofReplayed) => bad(Code::InvalidDpopProof, Reason::ProofReplayed),
        Refusal::Conflict(conflict @ (Conflict::EvidenceReplayed | Conflict::EvidenceKeyMismatch)) => {
            unproven(conflict.reason())
        }
        Refusal::Conflict(conflict @ Conflict::SigningKeyGone) => outage(conflict.reason(), SOON),
        Refusal::Signing(_) | Refusal::NoSigningKey(_) | Refusal::Random(_) => {
            outage(Reason::TokenUnavailable, SOON)
        }
    }
}

/// RFC 8693 §2.2.2: a subject or actor token that is not taken is an invalid request.
fn presented_face(error: &PresentedError) -> Face {
    let reason = match error {
        PresentedError::Own(error) => own_token_reason(error),
        PresentedError::Foreign(IssuerError::KeysUnavailable { retry_after, .. }) => {
            return outage(ReasonCode::JwksUnavailable, *retry_after);
        }
        PresentedError::Foreign(error) => error.reason_code(),
        PresentedError::Introspected(error) => {
            let reason = error.reason_code();
            return error
                .retry_after()
                .map_or_else(|| bad(ErrorCode::InvalidRequest, reason), |later| outage(reason, later));
        }
    };
    bad(ErrorCode::InvalidRequest, reason)
}

fn own_token_reason(error: &OwnTokenError) -> ReasonCode {
    match error {
        OwnTokenError::UnknownKey => ReasonCode::UnknownKid,
        OwnTokenError::Token(error) => error.reason_code(),
        OwnTokenError::Revoked => ReasonCode::Revoked,
    }
}

fn evidence_face(error: &IssuerError) -> Face {
    match error {
        IssuerError::UnknownIssuer => unproven(ReasonCode::UnknownClient),
        IssuerError::UnknownKey { .. } => unproven(ReasonCode::UnknownKid),
        IssuerError::KeysUnavailable { retry_after, .. } => outage(ReasonCode::JwksUnavailable, *retry_after),
        IssuerError::AudienceNotTrusted { .. } => unproven(ReasonCode::AssertionRejected),
        IssuerError::AlgorithmNotAllowed { .. } => unproven(ReasonCode::AlgNotAllowed),
        IssuerError::Token { source, .. } => unproven(assertion_reason(source)),
    }
}

fn pod_face(error: &PodError) -> Face {
    match error {
        PodError::Claims(_) => unproven(ReasonCode::PodUnbound),
        PodError::Gone(_) => unproven(ReasonCode::PodGone),
        PodError::NotConfirmed(_) => unproven(ReasonCode::ReviewRejected),
        PodError::Cluster(ClusterError::Busy) => outage(ReasonCode::Busy, SOON),
        PodError::Stale
        | PodError::Cluster(
            ClusterError::Setup(_)
            | ClusterError::TimedOut
            | ClusterError::TooLarge
            | ClusterError::Away(_)
            | ClusterError::Status(_)
            | ClusterError::Garbage(_),
        ) => outage(ReasonCode::PlatformUnavailable, Duration::from_secs(2)),
    }
}

fn process_face(error: &ProcessError) -> Face {
    match error {
        ProcessError::Ended
        | ProcessError::Executable(DigestError::Changed | DigestError::NotAnExecutable) => {
            unproven(ReasonCode::MappingFailed)
        }
        // Ours, not the caller's: out of descriptors, a disk that fails.
        ProcessError::Hidden(_)
        | ProcessError::Executable(DigestError::Io(_))
        | ProcessError::Interrupted => outage(ReasonCode::Busy, SOON),
    }
}

/// Of an assertion that is no token at all, only the algorithm is worth telling.
fn malformed_reason(error: &TokenError) -> ReasonCode {
    if error.reason_code() == ReasonCode::AlgNotAllowed {
        ReasonCode::AlgNotAllowed
    } else {
        ReasonCode::AssertionMalformed
    }
}

/// The codes whose advice also fits evidence; the others are about access tokens.
fn assertion_reason(error: &TokenError) -> ReasonCode {
    const TELLING: [ReasonCode; 6] = [
        ReasonCode::AlgNotAllowed,
        ReasonCode::BadSignature,
        ReasonCode::Expired,
        ReasonCode::LifetimeTooLong,
        ReasonCode::NotYetValid,
        ReasonCode::UnknownKid,
    ];
    Some(error.reason_code())
        .filter(|reason| TELLING.contains(reason))
        .unwrap_or(ReasonCode::AssertionRejected)
}

/// The answer to an outcome. A token comes only out of an [`Audited`].
pub(super) fn respond(outcome: &Result<Audited, AuditError>) -> Response {
    let mut response = match outcome {
        Ok(audited) => match audited.answer() {
            Ok(answer) => Json(answer).into_response(),
            Err(refusal) => challenged(refusal, Some(audited.id())),
        },
        Err(AuditError::NoId(_)) => refused(outage(ReasonCode::TokenUnavailable, SOON), None),
        Err(AuditError::NotRecorded { id, source }) => refused(unrecorded(*source), Some(id)),
    };
    uncached(&mut response);
    response
}

/// The answer to a method that the endpoint does not know.
pub(super) fn method_not_allowed() -> Response {
    let face = with_status(
        StatusCode::METHOD_NOT_ALLOWED,
        bad(ErrorCode::InvalidRequest, ReasonCode::MalformedRequest),
    );
    let mut response = refused(face, None);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    uncached(&mut response);
    response
}

/// What each 401 says of how to authenticate (RFC 9110 §15.5.2). A client that sent an `Authorization` header is
/// answered in its own scheme (RFC 6749 §5.2). For the others there is no scheme that means a client assertion in
/// the form; `Bearer` makes no browser ask for a password.
fn challenge(refusal: &Refusal, face: &Face) -> Option<HeaderValue> {
    let scheme = if let Refusal::AuthorizationHeader(scheme) = refusal { *scheme } else { Scheme::Other };
    let scheme = match scheme {
        Scheme::Basic => "Basic",
        Scheme::Dpop => "DPoP",
        Scheme::Bearer | Scheme::Other => "Bearer",
    };
    // Some libraries look at nothing else once there is a challenge, so that it says what the body says.
    let (error, reason) = (face.error, face.reason);
    let text = format!("{scheme} realm=\"symbolon\", error=\"{error}\", error_description=\"{reason}\"");
    HeaderValue::try_from(text).ok()
}

/// RFC 6749 §5.1.
fn uncached(response: &mut Response) {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

/// The answer of the feed to who may not read it (RFC 6750 §3, RFC 9449 §7.1).
pub(super) fn status(refusal: &Refusal) -> Response {
    let mut face = face(refusal);
    if matches!(face.error, ErrorCode::InvalidDpopProof) {
        face.status = StatusCode::UNAUTHORIZED;
    }
    let mut response = refused(face, None);
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("DPoP"));
    }
    response
}

/// The answer when there is none about a token.
pub(super) fn inspect(error: &InspectError) -> Response {
    match error {
        InspectError::Refused(refusal) => {
            let detail = crate::error_chain(refusal);
            tracing::debug!(event.name = "inspect.refused", detail, "refused");
            challenged(refusal, None)
        }
        InspectError::Unrecorded(error) => refused(unrecorded(*error), None),
    }
}

fn unrecorded(error: LedgerError) -> Face {
    match error {
        LedgerError::Full => outage(ReasonCode::Busy, SOON),
        LedgerError::Unavailable => outage(ReasonCode::StoreUnavailable, Duration::from_secs(2)),
    }
}

/// A refusal; if it is a 401, with what it takes.
fn challenged(refusal: &Refusal, id: Option<&DecisionId>) -> Response {
    let face = face(refusal);
    let challenge = (face.status == StatusCode::UNAUTHORIZED).then(|| challenge(refusal, &face)).flatten();
    let mut response = refused(face, id);
    if let Some(challenge) = challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

fn refused(face: Face, id: Option<&DecisionId>) -> Response {
    let body = OAuthError::new(face.error, face.reason, id.cloned());
    let mut response = (face.status, Json(body)).into_response();
    if let Some(retry_after) = face.retry_after {
        // Whole seconds, at least one (RFC 9110 §10.2.3).
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
    }
    response
}

#[cfg(test)]
mod tests;
