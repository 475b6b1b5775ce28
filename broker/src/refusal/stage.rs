//! At which stage of a token request a refusal stops it.
//! Not here: how the stages are shown (`routes/decisions/stages.rs`).
#![deny(clippy::wildcard_enum_match_arm)]

use serde::{Deserialize, Serialize};

use super::{Party, Refusal};
use crate::store::Conflict;

/// The stages of a token request, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StageName {
    /// The request arrived, is well-formed, and its proof of possession is good.
    Received,
    /// The evidence is good.
    Evidence,
    /// The caller is known by it, and is not revoked.
    Caller,
    /// The subject's token is good and may be passed on; only of an exchange.
    Subject,
    /// The actor is good and may be added; only of an exchange.
    Actor,
    /// There are such resources and scopes.
    Target,
    /// Policies permit it.
    Policy,
    /// The token is made.
    Token,
}

impl StageName {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Received,
        Self::Evidence,
        Self::Caller,
        Self::Subject,
        Self::Actor,
        Self::Target,
        Self::Policy,
        Self::Token,
    ];

    /// The name as it is shown.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Evidence => "evidence",
            Self::Caller => "caller",
            Self::Subject => "subject",
            Self::Actor => "actor",
            Self::Target => "target",
            Self::Policy => "policy",
            Self::Token => "token",
        }
    }
}

impl Refusal {
    /// Where the request ended.
    pub(crate) const fn stage(&self) -> StageName {
        match self {
            Self::RateLimited
            | Self::Busy
            | Self::TimedOut
            | Self::TooLarge
            | Self::Malformed(_)
            | Self::Form(_)
            | Self::OriginNotAllowed
            | Self::AuthorizationHeader(_)
            | Self::UnsupportedGrantType
            | Self::UnsupportedTokenType
            | Self::Proof(_)
            | Self::ProofHeader => StageName::Received,
            Self::UnsupportedAssertionType
            | Self::EvidenceMissing
            | Self::AssertionMalformed(_)
            | Self::UnknownClient
            | Self::ProviderAmbiguous
            | Self::ClientAssertion(_)
            | Self::UnknownKey
            | Self::Evidence(_)
            | Self::EvidenceDelegated
            | Self::EvidenceBound
            | Self::EvidenceUnproved { .. }
            | Self::EvidenceExpiring { .. }
            | Self::KeyOfNone
            | Self::Pod(_)
            | Self::OtherKey
            | Self::PinUnavailable
            | Self::Process(_)
            | Self::StatusToken(_)
            | Self::StatusScope => StageName::Evidence,
            Self::ClientMismatch
            | Self::Mapping { .. }
            | Self::CallerRevoked
            | Self::GroupUndetermined { .. } => StageName::Caller,
            Self::PresentedMalformed { party, .. }
            | Self::Presented { party, .. }
            | Self::PresentedKind { party }
            | Self::PresentedMapping { party, .. }
            | Self::NotAddressed { party } => party.stage(),
            Self::SubjectRevoked => StageName::Subject,
            Self::MayAct | Self::ActorLoop | Self::TooManyActors { .. } => StageName::Actor,
            // A proof is missing where the resource's tokens are bound.
            Self::InvalidTarget(_)
            | Self::InvalidScope(_)
            | Self::ScopeExceedsSubject
            | Self::ProofMissing => StageName::Target,
            Self::ExchangeDenied(_)
            | Self::ExchangeUndetermined(_)
            | Self::Denied(_)
            | Self::Undetermined(_) => StageName::Policy,
            Self::Conflict(conflict) => conflict.stage(),
            Self::ClaimUndetermined { .. } | Self::NoSigningKey(_) | Self::Signing(_) | Self::Random(_) => {
                StageName::Token
            }
        }
    }
}

impl Party {
    const fn stage(self) -> StageName {
        match self {
            Self::Subject => StageName::Subject,
            Self::Actor => StageName::Actor,
        }
    }
}

impl Conflict {
    /// Where a request ended whose evidence, proof or key was used or revoked meanwhile.
    pub(crate) const fn stage(self) -> StageName {
        match self {
            Self::ProofReplayed => StageName::Received,
            Self::EvidenceReplayed | Self::EvidenceKeyMismatch => StageName::Evidence,
            Self::SigningKeyGone => StageName::Token,
        }
    }
}
