//! Our own tokens, asked about (RFC 7662) or given back (RFC 7009) by whom they concern.
//! Not here: HTTP, and issuing.

use std::sync::Arc;

use secrecy::ExposeSecret;
use symbolon_audit::{Event, Outcome, Record, Repeated, Repeats};
use symbolon_identity::Timestamp;
use symbolon_token::{
    Actor, AudienceRule, Claims, Revocation, RevocationKind, UnverifiedToken, VerifiedToken,
};

use crate::attest::{Attestors, Unattested};
use crate::grants::PresentedClient;
use crate::inquiry::{Caller, Inquirer};
use crate::own_tokens::OwnTokens;
use crate::policies::Policies;
use crate::presented::Presented;
use crate::proofs::{Proofs, ProvedKey};
use crate::refusal::Refusal;
use crate::revoke::{Allowance, Revocations};
use crate::routes::error::face;
use crate::store::{Entry, Ledger, LedgerError, NewRevocation, Store, Use, Verdict};

/// Answers about tokens.
#[derive(Debug)]
pub(crate) struct Inspector {
    pub(crate) introspections: Proofs,
    pub(crate) givings_back: Proofs,
    pub(crate) attestors: Arc<Attestors>,
    pub(crate) inquirer: Arc<Inquirer>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) own: Arc<OwnTokens>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) allowance: Allowance,
    pub(crate) ledger: Ledger,
    pub(crate) repeats: Arc<Repeats>,
    pub(crate) store: Arc<dyn Store>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// The caller or its request is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What the answer uses up, or what is revoked, is not on record.
    #[error("it could not be put on record")]
    Unrecorded(#[from] LedgerError),
}

impl Inspector {
    /// The claims of a token of ours that is good and concerns the caller; nothing about any other.
    ///
    /// # Errors
    /// [`InspectError`] if the caller is not attested, or the store is away: an outage is not an inactive token.
    pub(crate) async fn introspect(
        &self,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<Option<Claims>, InspectError> {
        let (caller, uses) = self.caller(&self.introspections, presented, now).await?;
        let token = self.token(presented, now)?;
        let concerned = match token {
            Some(token) if self.concerns(&caller, &token, presented, now)? => Some(token),
            _ => None,
        };
        if !uses.is_empty() {
            self.put(Entry::Uses(uses)).await?;
        }
        Ok(concerned.map(|token| token.claims().clone()))
    }

    /// Takes a token back that the caller got, or that is about the caller; any other is left alone, silently
    /// (RFC 7009 §2.2).
    ///
    /// # Errors
    /// [`InspectError`] if the caller is not attested, or nothing can be put on record.
    pub(crate) async fn give_back(&self, presented: &Presented, now: Timestamp) -> Result<(), InspectError> {
        let (caller, uses) = self.caller(&self.givings_back, presented, now).await?;
        let Some(token) = self.token(presented, now)? else {
            return if uses.is_empty() { Ok(()) } else { self.put(Entry::Uses(uses)).await };
        };
        let claims = token.claims();
        let own = caller.attested.workload().as_str();
        let is_own = claims.subject.as_str() == own
            || claims.client_id.as_ref().is_some_and(|client| client.as_str() == own);
        // Also for another's: each attempt is put on record.
        if !self.allowance.take(caller.attested.workload(), now) {
            return Err(Refusal::RateLimited.into());
        }
        let outcome = if is_own { Outcome::Success } else { Outcome::Denied };
        let record = Record {
            actor: Some(crate::record::actor(&caller)),
            token: claims.token_id.as_ref().map(|id| symbolon_audit::Token {
                id: id.as_str().to_owned(),
                expires_at: claims.expires_at,
                bounded_by: None,
                key: Some(token.key_thumbprint().to_string()),
            }),
            decision_id: Some(presented.id.clone()),
            ..Record::new(Event::TokenRevoked, now, outcome)
        };
        let revocations = of_token(claims).filter(|_| is_own).into_iter().collect();
        self.put(Entry::Revocation { uses, revocations, record: Box::new(record) }).await?;
        // What could not be read again now is read again by `Upkeep`, within seconds.
        if let Err(error) = self.revocations.follow(&*self.store, now).await {
            let error = crate::error_chain(&error);
            tracing::error!(
                event.name = "revocations.unread",
                error,
                "a revocation on record does not count yet"
            );
            return Err(InspectError::Unrecorded(LedgerError::Unavailable));
        }
        Ok(())
    }

    /// The attested caller of an endpoint, and what its evidence uses up.
    async fn caller(
        &self,
        proofs: &Proofs,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<(Caller, Vec<Use>), InspectError> {
        let client = PresentedClient::parse(presented)?;
        let key = proofs.check(presented, now)?;
        let attested = self.attestors.attest(&client, &presented.connection, key.as_ref(), now).await;
        let attested = match attested {
            Ok(attested) => attested,
            Err(Unattested::Stranger(refusal)) => return Err(refusal.into()),
            Err(Unattested::WrongKey { owner, refusal }) => {
                self.alarm(&Caller { attested: *owner, key }, &refusal, presented, now).await?;
                return Err(refusal.into());
            }
        };
        let caller = Caller { attested, key };
        self.revocations.admit_caller(&caller, now)?;
        let proof = caller.key.as_ref().map(ProvedKey::once);
        let uses = caller.attested.uses().iter().cloned().chain(proof).collect();
        Ok((caller, uses))
    }

    /// Puts on record that somebody presents evidence without the key that it belongs to, as far as that is not on
    /// record often enough.
    async fn alarm(
        &self,
        owner: &Caller,
        refusal: &Refusal,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<(), InspectError> {
        let (whom, reason) = (Repeated::by(owner.attested.workload().as_str(), now), face(refusal).reason);
        let is_recorded = !self.repeats.are_enough(&whom, reason);
        if is_recorded {
            let source = presented.source.map_or_else(|| "unix".to_owned(), |source| source.to_string());
            let record = Record {
                actor: Some(crate::record::actor(owner)),
                reason: Some(reason),
                decision_id: Some(presented.id.clone()),
                source: Some(source),
                ..Record::new(Event::TokenRefused, now, Outcome::Denied).with_detail("alarm", true)
            };
            self.put(Entry::Event(Box::new(record))).await?;
        }
        self.repeats.count(&whom, reason, is_recorded);
        let workload = owner.attested.workload();
        tracing::warn!(
            event.name = "evidence.conflict", reason = reason.as_str(), decision.id = %presented.id, %workload,
            "evidence was presented with another key"
        );
        Ok(())
    }

    /// The token that was presented, if it is a good one of ours.
    fn token(&self, presented: &Presented, now: Timestamp) -> Result<Option<VerifiedToken>, Refusal> {
        let text = presented.form.token.as_ref().ok_or(Refusal::Malformed("`token` is missing"))?;
        let audiences = self.inquirer.resources.audiences();
        let Ok(token) = UnverifiedToken::parse(text.expose_secret()) else { return Ok(None) };
        if !self.own.is_for(&token) {
            return Ok(None);
        }
        Ok(self.own.verify(&token, AudienceRule::ContainsAny(audiences), now).ok())
    }

    /// Whether the token is the caller's own, is about it, names it as actor, or is for a resource that it operates.
    fn concerns(
        &self,
        caller: &Caller,
        token: &VerifiedToken,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let claims = token.claims();
        let own = caller.attested.workload().as_str();
        let names_it = claims.subject.as_str() == own
            || claims.client_id.as_ref().is_some_and(|client| client.as_str() == own)
            || claims
                .actor
                .iter()
                .flat_map(Actor::chain)
                .any(|actor| actor.issuer.is_none() && actor.subject.as_str() == own);
        if names_it {
            return Ok(true);
        }
        let resources = &self.inquirer.resources;
        let audiences: Vec<_> =
            claims.audiences.iter().filter_map(|audience| resources.of_audience(audience)).collect();
        let questions = self.inquirer.operates(caller, &audiences, presented, now)?;
        Ok(self.policies.current().any(&questions, &mut Vec::new()).is_some())
    }

    async fn put(&self, entry: Entry) -> Result<(), InspectError> {
        match self.ledger.record(entry).await? {
            Verdict::Recorded => Ok(()),
            Verdict::Conflict(conflict) => Err(Refusal::Conflict(conflict).into()),
        }
    }
}

/// The token, and what was derived from it: a lineage hits its root too.
fn of_token(claims: &Claims) -> Option<NewRevocation> {
    Some(NewRevocation {
        revocation: Revocation {
            kind: RevocationKind::Lineage,
            value: claims.token_id.as_ref()?.as_str().to_owned(),
            revoked_before: Timestamp::MAX,
            // Nothing that is derived from a token outlives it.
            until: claims.expires_at,
        },
        blocks_until: None,
    })
}
