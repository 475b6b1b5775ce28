//! Every way in which the token endpoint says no.
//! Not here: what it says to the caller; `routes::error` has the one map for that.

mod stage;

use std::time::Duration;

use symbolon_identity::{GroupName, ProviderName};
use symbolon_issuers::IssuerError;
use symbolon_policies::Denial;
use symbolon_proof::ProofError;
use symbolon_token::{ClaimName, TokenError};
use symbolon_wire::FormError;

use crate::attest::{MappingError, PodError, ProcessError};
use crate::claims::ClaimError;
use crate::own_tokens::OwnTokenError;
use crate::store::Conflict;
use crate::subject::{PresentedError, SubjectError};

pub(crate) use stage::StageName;

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
    /// Several clusters have this issuer, and none of them the key that the evidence names.
    #[error("no cluster of this issuer has the key of the evidence")]
    KeyOfNone,
    /// The pod of a service account token is not attested.
    #[error("the pod is not attested")]
    Pod(#[source] PodError),
    /// The pod is pinned to another key.
    #[error("the pod of the evidence has another key")]
    OtherKey,
    /// It cannot be told which key a pod has.
    #[error("it cannot be told which key the pod has")]
    PinUnavailable,
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
    /// The token type is not taken or made here.
    #[error("the token type is not supported")]
    UnsupportedTokenType,
    /// A presented subject or actor token is no JWT.
    #[error("the {party} token is malformed")]
    PresentedMalformed {
        /// Whose token.
        party: Party,
        /// Why.
        #[source]
        error: TokenError,
    },
    /// A presented subject or actor token does not verify.
    #[error("the {party} token is refused")]
    Presented {
        /// Whose token.
        party: Party,
        /// Why.
        #[source]
        source: PresentedError,
    },
    /// A presented token is of another kind than the caller says, or its issuer does not vouch for that kind.
    #[error("the {party} token is not of the kind that the caller says")]
    PresentedKind {
        /// Whose token.
        party: Party,
    },
    /// A foreign subject does not pass the conditions of its issuer's configuration.
    #[error("the claims of the {party} token do not map")]
    PresentedMapping {
        /// Whose token.
        party: Party,
        /// Why.
        #[source]
        source: SubjectError,
    },
    /// The token is addressed to somebody else than us, and policy does not say that the caller operates that.
    #[error("the {party} token is addressed to somebody else than the caller")]
    NotAddressed {
        /// Whose token.
        party: Party,
    },
    /// The subject token says who may act, and this actor is not the one.
    #[error("the subject token's `may_act` names another actor")]
    MayAct,
    /// The actor acts already.
    #[error("the actor already acts in the subject token")]
    ActorLoop,
    /// The chain of actors would be longer than it may.
    #[error("the token would name {depth} actors, the limit is {limit}")]
    TooManyActors {
        /// The actors that it would name.
        depth: usize,
        /// The limit.
        limit: usize,
    },
    /// For the same resource an exchange can only narrow.
    #[error("the subject token lacks a requested scope of the same resource")]
    ScopeExceedsSubject,
    /// Policy says no to an exchange.
    #[error("policy denies the exchange")]
    ExchangeDenied(#[source] Denial),
    /// Policy cannot be evaluated for an exchange.
    #[error("policy cannot say")]
    ExchangeUndetermined(#[source] Denial),
    /// A token for the revocation feed is not good.
    #[error("the token for the feed is refused")]
    StatusToken(#[from] OwnTokenError),
    /// A token for the revocation feed lacks the scope.
    #[error("the token for the feed lacks its scope")]
    StatusScope,
    /// An operator has revoked the caller or its key.
    #[error("the caller or its key was revoked")]
    CallerRevoked,
    /// An operator has revoked the subject.
    #[error("the subject was revoked")]
    SubjectRevoked,
    /// Membership in a group cannot be told.
    #[error("membership in group `{group}` cannot be told")]
    GroupUndetermined {
        /// The group.
        group: GroupName,
        /// Why.
        #[source]
        source: symbolon_cel::EvalError,
    },
    /// A claim of the resource cannot be told.
    #[error("the claim `{claim}` of the resource cannot be told")]
    ClaimUndetermined {
        /// The claim.
        claim: ClaimName,
        /// Why.
        #[source]
        source: ClaimError,
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
    /// There is no key for the resource's algorithm.
    #[error("no key signs with {0}")]
    NoSigningKey(symbolon_jws::Algorithm),
    /// We cannot sign.
    #[error("the token cannot be signed")]
    Signing(#[source] TokenError),
    /// The random generator fails.
    #[error("no random numbers can be had")]
    Random(#[from] symbolon_jws::CryptoError),
}

/// Whose token was presented for an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    /// On whose behalf the token is wanted.
    Subject,
    /// Who acts.
    Actor,
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Subject => "subject",
            Self::Actor => "actor",
        })
    }
}

impl Refusal {
    /// The same, if it is a denial by policy, as the denial of an exchange: RFC 8693 has another word for it.
    pub(crate) fn of_exchange(self) -> Self {
        match self {
            Self::Denied(denial) => Self::ExchangeDenied(denial),
            Self::Undetermined(denial) => Self::ExchangeUndetermined(denial),
            other => other,
        }
    }

    /// The denial by policy, if it is one.
    pub(crate) fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Denied(denial)
            | Self::Undetermined(denial)
            | Self::ExchangeDenied(denial)
            | Self::ExchangeUndetermined(denial) => Some(denial),
            _ => None,
        }
    }
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
