//! Whom a token is about, and who acts: the caller itself, or parties whose tokens were exchanged (RFC 8693).
//! Not here: whether policy allows it.

mod chain;
mod foreign;
mod party;

use std::sync::Arc;

use symbolon_identity::{Timestamp, TokenId, WorkloadId};
use symbolon_issuers::{IntrospectionError, IssuerError};
use symbolon_token::{Actor, AudienceRule, Subject};

use crate::attest::Attested;
use crate::grants::{ExchangeRequest, PresentedParty};
use crate::inquiry::Caller;
use crate::own_tokens::{OwnTokenError, OwnTokens};
use crate::refusal::{Party, Refusal};
use crate::resources::{Resource, Resources};

pub(crate) use foreign::{ForeignIssuers, ForeignPlan, ForeignSurroundings, SubjectError};
use party::VerifiedParty;

/// The subject of a token to be, verified. Made only here.
#[derive(Debug)]
pub(crate) struct VerifiedSubject {
    subject: Subject,
    passed_on: Option<PassedOn>,
}

/// What an exchange carries over from the tokens that were presented.
#[derive(Debug)]
pub(crate) struct PassedOn {
    /// The subject as policies see it.
    pub(crate) facts: symbolon_policies::Subject,
    /// The actors that the subject's token names, newest first.
    pub(crate) earlier: Option<Actor>,
    /// The same with the new one in front, unless the subject acts for itself.
    pub(crate) chain: Option<Actor>,
    /// The token at the root: what is derived from it can be revoked with it.
    pub(crate) lineage: TokenId,
    /// The earliest end of the tokens that were presented.
    pub(crate) expires_at: Timestamp,
    /// Whose tokens were addressed to resources rather than to us; policy says whether the caller operates one.
    pub(crate) addressed_to: Vec<(Party, Vec<Arc<Resource>>)>,
}

/// Verifies the tokens of an exchange.
#[derive(Debug)]
pub(crate) struct Subjects {
    pub(crate) own: Arc<OwnTokens>,
    pub(crate) foreign: ForeignIssuers,
}

impl VerifiedSubject {
    /// With client credentials a caller acts for nobody but itself (RFC 9068 §2.2: `sub` is then the client).
    pub(crate) fn of_caller(attested: &Attested) -> Self {
        Self { subject: Subject::from(attested.workload()), passed_on: None }
    }

    /// The `sub`.
    pub(crate) fn as_claim(&self) -> &Subject {
        &self.subject
    }

    /// What an exchange carries over; none if there was no exchange.
    pub(crate) fn passed_on(&self) -> Option<&PassedOn> {
        self.passed_on.as_ref()
    }

    pub(crate) fn into_parts(self) -> (Subject, Option<PassedOn>) {
        (self.subject, self.passed_on)
    }
}

impl PassedOn {
    /// The ids of the actors that the subject's token names, newest first; those of another issuer as `<issuer>#<id>`,
    /// so that no policy mistakes them for ours.
    pub(crate) fn earlier_ids(&self) -> Vec<String> {
        let id = |actor: &Actor| match &actor.issuer {
            None => actor.subject.as_str().to_owned(),
            Some(issuer) => format!("{issuer}#{}", actor.subject),
        };
        self.earlier.iter().flat_map(Actor::chain).map(id).collect()
    }
}

impl Subjects {
    /// Verifies subject and actor of a request, each by its own issuer.
    ///
    /// # Errors
    /// [`Refusal`] if a token is refused, or may not be passed on by this actor.
    pub(crate) async fn verify(
        &self,
        exchange: Option<&ExchangeRequest>,
        caller: &Caller,
        resources: &Resources,
        now: Timestamp,
    ) -> Result<VerifiedSubject, Refusal> {
        let Some(exchange) = exchange else { return Ok(VerifiedSubject::of_caller(&caller.attested)) };
        let own = caller.attested.workload();
        let subject = self.party((Party::Subject, own), &exchange.subject, resources, now).await?;
        let actor = match &exchange.actor {
            None => None,
            Some(actor) => Some(self.party((Party::Actor, own), actor, resources, now).await?),
        };
        chain::pass_on(subject, actor.as_ref(), caller)
    }

    async fn party(
        &self,
        (party, caller): (Party, &WorkloadId),
        presented: &PresentedParty,
        resources: &Resources,
        now: Timestamp,
    ) -> Result<VerifiedParty, Refusal> {
        let presented = match presented {
            PresentedParty::Jwt(token) => token,
            PresentedParty::Opaque(opaque) => {
                return self.foreign.introspect((party, caller), opaque, resources, now).await;
            }
        };
        let refused = |source| Refusal::Presented { party, source };
        if !self.own.is_for(&presented.token) {
            return self.foreign.verify((party, caller), presented, resources, now).await;
        }
        if presented.claimed == crate::grants::TokenKind::IdToken {
            return Err(Refusal::PresentedKind { party });
        }
        let audiences = resources.audiences();
        let token = self.own.verify(&presented.token, AudienceRule::ContainsAny(audiences), now);
        let token = token.map_err(|error| refused(PresentedError::from(error)))?;
        VerifiedParty::own(party, &token, resources)
    }
}

/// Why a presented token is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PresentedError {
    /// It is of ours, and not good.
    #[error("as a token of ours")]
    Own(#[from] OwnTokenError),
    /// It is of another issuer, and not good.
    #[error("as a token of another issuer")]
    Foreign(#[from] IssuerError),
    /// Its issuer was asked, and did not say that it is good.
    #[error("as an opaque token")]
    Introspected(#[from] IntrospectionError),
}
