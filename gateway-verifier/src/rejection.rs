//! A no of the gateway, and the one map from its reason to status and OAuth error.
//! Not here: how the answer is written (`answer.rs`), nor who decides (`judge.rs`).

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use symbolon_identity::ReasonCode;

use crate::caller::VerifiedCaller;
use crate::shown::shown;
use crate::stages::Progress;
use crate::stages::authorize::Denied;

/// Why a request was not forwarded, with what an operator may see of it and its sender may not.
#[derive(Debug, Clone)]
pub struct Rejection {
    code: ReasonCode,
    notes: Option<Box<Notes>>,
    retry_after: Option<Duration>,
    caller: Option<Arc<VerifiedCaller>>,
    is_proven: bool,
    progress: Option<Progress>,
    denied: Option<Arc<Denied>>,
}

/// What the check compared, shortened; only shown on the admin socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// What happened, for operators.
    pub detail: Option<String>,
    /// What the check wanted.
    pub expected: Option<String>,
    /// What it saw.
    pub actual: Option<String>,
}

impl Rejection {
    /// A rejection for this reason.
    #[must_use]
    pub fn new(code: ReasonCode) -> Self {
        let (notes, retry_after, caller, progress, denied) = (None, None, None, None, None);
        Self { code, notes, retry_after, caller, is_proven: false, progress, denied }
    }

    /// Adds what happened, for operators.
    #[must_use]
    pub fn because(mut self, detail: impl AsRef<str>) -> Self {
        self.notes.get_or_insert_default().detail = Some(shown(detail.as_ref()));
        self
    }

    /// Adds what the check wanted and what it saw, for operators.
    #[must_use]
    pub fn compared(mut self, expected: impl AsRef<str>, actual: impl AsRef<str>) -> Self {
        let notes = self.notes.get_or_insert_default();
        notes.expected = Some(shown(expected.as_ref()));
        notes.actual = Some(shown(actual.as_ref()));
        self
    }

    /// Adds the caller whose token was verified before the request was rejected, and who proved to be that caller.
    #[must_use]
    pub fn of(self, caller: &Arc<VerifiedCaller>) -> Self {
        Self { is_proven: true, ..self.naming(caller) }
    }

    /// Adds the caller whose token was presented, by whoever did.
    #[must_use]
    pub fn naming(mut self, caller: &Arc<VerifiedCaller>) -> Self {
        self.caller = Some(Arc::clone(caller));
        self
    }

    /// Adds how far the request came in the stages of its route.
    #[must_use]
    pub fn at(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Adds the question that policies denied.
    #[must_use]
    pub fn by_policy(mut self, denied: Denied) -> Self {
        self.denied = Some(Arc::new(denied));
        self
    }

    /// Adds when it is worth trying again, if that is known better than the usual.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// How it is answered.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let usual = verdict(self.code);
        let known = self.retry_after.map(|after| u16::try_from(after.as_secs().max(1)).unwrap_or(u16::MAX));
        Verdict { retry_after: usual.retry_after.and(known).or(usual.retry_after), ..usual }
    }

    /// The stable reason.
    #[must_use]
    pub fn code(&self) -> ReasonCode {
        self.code
    }

    /// What an operator may see.
    #[must_use]
    pub fn notes(&self) -> Option<&Notes> {
        self.notes.as_deref()
    }

    /// How far the request came in the stages of its route, if one of them ended it.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        self.progress
    }

    /// The question that policies denied, if it was they.
    #[must_use]
    pub fn denied(&self) -> Option<&Arc<Denied>> {
        self.denied.as_ref()
    }

    /// The caller whose token was presented, if one was verified.
    #[must_use]
    pub fn caller(&self) -> Option<&Arc<VerifiedCaller>> {
        self.caller.as_ref()
    }

    /// The caller, if it was the caller: who has nothing but a copy of a bound token is a stranger, and may do nothing in
    /// its owner's name.
    #[must_use]
    pub fn proven_caller(&self) -> Option<&Arc<VerifiedCaller>> {
        self.caller.as_ref().filter(|_| self.is_proven)
    }
}

impl From<ReasonCode> for Rejection {
    fn from(code: ReasonCode) -> Self {
        Self::new(code)
    }
}

/// The `error` of a challenge (RFC 6750 §3.1, RFC 9449 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeError {
    /// A challenge without an error: nothing was presented (RFC 6750 §3).
    None,
    /// The request itself is wrong, such as two credentials.
    InvalidRequest,
    /// The token is no good.
    InvalidToken,
    /// The token is good and too narrow.
    InsufficientScope,
    /// The proof of possession is missing or no good.
    InvalidDpopProof,
    /// The proof needs a nonce.
    UseDpopNonce,
}

impl ChallengeError {
    /// The word on the wire, if there is an error.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::InvalidRequest => Some("invalid_request"),
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::InvalidDpopProof => Some("invalid_dpop_proof"),
            Self::UseDpopNonce => Some("use_dpop_nonce"),
        }
    }

    /// Whether only the `DPoP` scheme knows this error.
    #[must_use]
    pub fn is_about_the_proof(self) -> bool {
        matches!(self, Self::InvalidDpopProof | Self::UseDpopNonce)
    }
}

/// How a reason is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: StatusCode,
    /// The challenge to send, if this answer carries one.
    pub challenge: Option<ChallengeError>,
    /// Seconds for `Retry-After`, if it is worth coming back.
    pub retry_after: Option<u16>,
}

const fn plain(status: StatusCode) -> Verdict {
    Verdict { status, challenge: None, retry_after: None }
}

const fn challenge(status: StatusCode, error: ChallengeError) -> Verdict {
    Verdict { status, challenge: Some(error), retry_after: None }
}

const fn outage(status: StatusCode, seconds: u16) -> Verdict {
    Verdict { status, challenge: None, retry_after: Some(seconds) }
}

/// The one map from a reason to its answer.
#[must_use]
#[expect(clippy::too_many_lines, reason = "one exhaustive map, one line a reason")]
pub const fn verdict(code: ReasonCode) -> Verdict {
    use ChallengeError as Error;
    use ReasonCode as Code;
    match code {
        Code::MalformedRequest | Code::PathNotCanonical | Code::UpgradeNotAllowed => {
            plain(StatusCode::BAD_REQUEST)
        }
        Code::MultipleTokens => challenge(StatusCode::BAD_REQUEST, Error::InvalidRequest),
        Code::TokenMissing => challenge(StatusCode::UNAUTHORIZED, Error::None),
        Code::AlgNotAllowed
        | Code::BadSignature
        | Code::BindingMismatch
        | Code::Expired
        | Code::LifetimeTooLong
        | Code::Malformed
        | Code::NotYetValid
        | Code::Revoked
        | Code::UnknownIssuer
        | Code::UnknownKid
        | Code::WrongAudience
        | Code::WrongType => challenge(StatusCode::UNAUTHORIZED, Error::InvalidToken),
        Code::ProofExpired | Code::ProofInvalid | Code::ProofMissing | Code::ProofReplayed => {
            challenge(StatusCode::UNAUTHORIZED, Error::InvalidDpopProof)
        }
        Code::NonceRequired => challenge(StatusCode::UNAUTHORIZED, Error::UseDpopNonce),
        Code::InsufficientScope => challenge(StatusCode::FORBIDDEN, Error::InsufficientScope),
        Code::Denied | Code::OriginNotAllowed => plain(StatusCode::FORBIDDEN),
        Code::RouteNotFound | Code::StreamUnknown => plain(StatusCode::NOT_FOUND),
        Code::TooLarge => plain(StatusCode::PAYLOAD_TOO_LARGE),
        Code::RateLimited => outage(StatusCode::TOO_MANY_REQUESTS, 1),
        Code::Busy
        | Code::IssuerUnavailable
        | Code::JwksUnavailable
        | Code::ReplayUnavailable
        | Code::RevocationStale => outage(StatusCode::SERVICE_UNAVAILABLE, 5),
        Code::UpstreamUnavailable => outage(StatusCode::BAD_GATEWAY, 1),
        Code::UpstreamTimeout => plain(StatusCode::GATEWAY_TIMEOUT),
        // But for the first two these are reasons of the broker and the sidecar: the gateway never gives them, and if
        // it did it would be our fault.
        Code::ConditionError
        | Code::Undetermined
        | Code::ActorChainTooLong
        | Code::ActorLoop
        | Code::ActorNotAllowed
        | Code::AssertionMalformed
        | Code::AssertionRejected
        | Code::AuthorizationHeader
        | Code::ClaimUndetermined
        | Code::EvidenceExpiring
        | Code::EvidenceKeyMismatch
        | Code::EvidenceMissing
        | Code::EvidenceReplayed
        | Code::GroupUndetermined
        | Code::Inactive
        | Code::InvalidScope
        | Code::InvalidTarget
        | Code::MappingFailed
        | Code::PlatformUnavailable
        | Code::PodGone
        | Code::PodUnbound
        | Code::ProviderAmbiguous
        | Code::ReviewRejected
        | Code::ScopeExceedsSubject
        | Code::StoreUnavailable
        | Code::SubjectNotAddressed
        | Code::TokenUnavailable
        | Code::UnauthorizedClient
        | Code::UnknownClient
        | Code::UnsupportedAssertionType
        | Code::UnsupportedGrantType
        | Code::UnsupportedTokenType => plain(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documented table, written out: reason, status, OAuth error.
    const TABLE: &[(&str, u16, Option<&str>)] = &[
        ("token_missing", 401, None),
        ("multiple_tokens", 400, Some("invalid_request")),
        ("malformed", 401, Some("invalid_token")),
        ("alg_not_allowed", 401, Some("invalid_token")),
        ("unknown_issuer", 401, Some("invalid_token")),
        ("unknown_kid", 401, Some("invalid_token")),
        ("bad_signature", 401, Some("invalid_token")),
        ("expired", 401, Some("invalid_token")),
        ("not_yet_valid", 401, Some("invalid_token")),
        ("wrong_audience", 401, Some("invalid_token")),
        ("wrong_type", 401, Some("invalid_token")),
        ("lifetime_too_long", 401, Some("invalid_token")),
        ("proof_missing", 401, Some("invalid_dpop_proof")),
        ("proof_invalid", 401, Some("invalid_dpop_proof")),
        ("proof_expired", 401, Some("invalid_dpop_proof")),
        ("proof_replayed", 401, Some("invalid_dpop_proof")),
        ("nonce_required", 401, Some("use_dpop_nonce")),
        ("binding_mismatch", 401, Some("invalid_token")),
        ("revoked", 401, Some("invalid_token")),
        ("insufficient_scope", 403, Some("insufficient_scope")),
        ("denied", 403, None),
        ("rate_limited", 429, None),
        ("condition_error", 500, None),
        ("jwks_unavailable", 503, None),
        ("revocation_stale", 503, None),
        ("issuer_unavailable", 503, None),
        ("replay_unavailable", 503, None),
        ("route_not_found", 404, None),
        ("stream_unknown", 404, None),
        ("path_not_canonical", 400, None),
        ("malformed_request", 400, None),
        ("too_large", 413, None),
        ("upgrade_not_allowed", 400, None),
        ("origin_not_allowed", 403, None),
        ("upstream_unavailable", 502, None),
        ("upstream_timeout", 504, None),
    ];

    #[test]
    fn each_code_of_the_gateway_has_its_status_and_error() {
        for (code, status, error) in TABLE {
            let code: ReasonCode = code.parse().unwrap();
            let verdict = verdict(code);
            assert_eq!(verdict.status.as_u16(), *status, "{code}");
            assert_eq!(verdict.challenge.and_then(ChallengeError::as_str), *error, "{code}");
        }
    }

    #[test]
    fn no_outage_is_a_401_and_each_says_when_to_come_back() {
        for code in ReasonCode::ALL {
            let verdict = verdict(*code);
            assert!(verdict.status.is_client_error() || verdict.status.is_server_error(), "{code}");
            let come_back = matches!(verdict.status.as_u16(), 429 | 503);
            assert!(!come_back || verdict.retry_after.is_some(), "{code}");
            assert!(
                verdict.status.as_u16() != 401 || verdict.challenge.is_some(),
                "{code}: RFC 9110 §15.5.2"
            );
        }
    }
}
