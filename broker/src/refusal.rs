//! Every way in which the token endpoint says no.
//! Not here: what it says to the caller; `routes::error` has the one map for that.

use std::time::Duration;

use symbolon_identity::{GroupName, ProviderName};
use symbolon_issuers::IssuerError;
use symbolon_policies::Denial;
use symbolon_proof::ProofError;
use symbolon_token::TokenError;
use symbolon_wire::FormError;

use crate::attest::{MappingError, ProcessError};
use crate::store::Conflict;

/// Why no token is issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The source sends too many requests.
    #[error("too many requests from one source")]
    RateLimited,
    /// Too many requests are under way.
    #[error("too many requests are under way")]
    Busy,
    /// The request took too long.
    #[error("the request was not answered in time")]
    TimedOut,
    /// The body is larger than 64 KiB.
    #[error("the body is too large")]
    TooLarge,
    /// The body did not arrive, or not as a form.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The body is no form.
    #[error("the form is malformed")]
    Form(#[from] FormError),
    /// A web page sent it.
    #[error("the request names a web origin")]
    OriginNotAllowed,
    /// There is an `Authorization` header: another way to authenticate, which is not offered.
    #[error("the request carries an `Authorization` header")]
    AuthorizationHeader(Scheme),
    /// The grant type is not offered.
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    /// The assertion type is not offered.
    #[error("the client assertion type is not supported")]
    UnsupportedAssertionType,
    /// Neither an assertion nor a Unix socket.
    #[error("no evidence was presented")]
    EvidenceMissing,
    /// The assertion is not a JWT.
    #[error("the client assertion is malformed")]
    AssertionMalformed(#[source] TokenError),
    /// Nobody here vouches for this evidence.
    #[error("no trust provider and no client fits the evidence")]
    UnknownClient,
    /// `client_id` names somebody else than the evidence does.
    #[error("the `client_id` is not the one that the evidence proves")]
    ClientMismatch,
    /// Several providers would vouch for it.
    #[error("several trust providers fit the evidence")]
    ProviderAmbiguous,
    /// A registered client's assertion does not verify.
    #[error("the assertion of a registered client is refused")]
    ClientAssertion(#[source] TokenError),
    /// A registered client's assertion names a key that is not registered.
    #[error("the assertion is not signed by a registered key")]
    UnknownKey,
    /// An issuer's token does not verify.
    #[error("the evidence is refused")]
    Evidence(#[source] IssuerError),
    /// The evidence is a token with which an actor acts for its subject.
    #[error("the evidence names an actor: a delegated token is no evidence of its subject")]
    EvidenceDelegated,
    /// The evidence is bound to a key that the caller did not prove.
    #[error("the evidence is bound to another key")]
    EvidenceBound,
    /// Reusable evidence came without a proof of possession.
    #[error("provider `{provider}` takes its evidence only together with a proof of possession")]
    EvidenceUnproved {
        /// The provider.
        provider: ProviderName,
    },
    /// The process at the other end of the socket cannot be told.
    #[error("the peer of the socket cannot be told")]
    Process(#[source] ProcessError),
    /// The evidence does not map to a workload.
    #[error("the evidence of provider `{provider}` does not map to a workload")]
    Mapping {
        /// The provider.
        provider: ProviderName,
        /// Why.
        #[source]
        source: MappingError,
    },
    /// The proof of possession does not fit.
    #[error("the proof of possession is refused")]
    Proof(#[source] ProofError),
    /// There is more than one proof header, or one that is no text.
    #[error("there is not exactly one proof header")]
    ProofHeader,
    /// The resource's tokens are bound, and there is no proof.
    #[error("the resource's tokens are bound to a key, and no proof was sent")]
    ProofMissing,
    /// The target is missing, malformed, unknown, or there are several.
    #[error("the target is {0}")]
    InvalidTarget(&'static str),
    /// A scope is malformed or not offered, or none was asked for where there is no default.
    #[error("the scope is {0}")]
    InvalidScope(&'static str),
    /// Membership in a group cannot be told.
    #[error("membership in group `{group}` cannot be told")]
    GroupUndetermined {
        /// The group.
        group: GroupName,
        /// Why.
        #[source]
        source: symbolon_cel::EvalError,
    },
    /// Policy says no.
    #[error("policy denies it")]
    Denied(#[source] Denial),
    /// Policy cannot be evaluated.
    #[error("policy cannot say")]
    Undetermined(#[source] Denial),
    /// The evidence ends too soon for a token.
    #[error("the evidence ends in less than {} seconds", least.as_secs())]
    EvidenceExpiring {
        /// The least life that a token has to get.
        least: Duration,
    },
    /// Something was used before, or belongs to another key.
    #[error("the store says: {0:?}")]
    Conflict(Conflict),
    /// We cannot sign.
    #[error("the token cannot be signed")]
    Signing(#[source] TokenError),
    /// The random generator fails.
    #[error("no random numbers can be had")]
    Random(#[from] symbolon_jws::CryptoError),
}

/// The scheme of an `Authorization` header that a client sent, as far as we can name it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 7617.
    Basic,
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
    /// Anything else.
    Other,
}

impl Scheme {
    /// The scheme of a header's value.
    pub(crate) fn of(value: &[u8]) -> Self {
        let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case(b"basic") {
            Self::Basic
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            Self::Bearer
        } else if scheme.eq_ignore_ascii_case(b"dpop") {
            Self::Dpop
        } else {
            Self::Other
        }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        match denial.kind() {
            symbolon_policies::DenialKind::NoPermit | symbolon_policies::DenialKind::Forbidden => {
                Self::Denied(denial)
            }
            symbolon_policies::DenialKind::Error => Self::Undetermined(denial),
        }
    }
}
