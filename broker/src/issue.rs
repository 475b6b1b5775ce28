//! The heart: parse → prove key → attest → verify subject → decide → mint → audit.
//! Not here: any of those steps; each has a module, and a type that only it can make.

use std::net::IpAddr;
use std::sync::Arc;

use symbolon_daemon::Clock;
use symbolon_http::server::ConnectionInfo;
use symbolon_identity::{DecisionId, Origin, Timestamp, WorkloadId};
use symbolon_jws::random_bytes;

use crate::attest::Attestors;
use crate::audit::{Audit, AuditError, Audited, Issued, Refused};
use crate::grants::{Credential, PresentedClient, TokenRequest};
use crate::inquiry::{Caller, Inquirer};
use crate::mint::{Grant, Mint, Minted};
use crate::policies::Policies;
use crate::presented::Presented;
use crate::proofs::Proofs;
use crate::record::Receipt;
use crate::refusal::Refusal;
use crate::subject::VerifiedSubject;

/// Answers token requests.
#[derive(Debug)]
pub(crate) struct TokenService {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) proofs: Proofs,
    pub(crate) attestors: Attestors,
    pub(crate) inquirer: Inquirer,
    pub(crate) policies: Arc<Policies>,
    pub(crate) mint: Mint,
    pub(crate) audit: Audit,
}

impl TokenService {
    /// Answers a request: with a token or a refusal, either of them on record.
    ///
    /// # Errors
    /// [`AuditError`] if the answer could not be put on record; it is then not given.
    pub(crate) async fn answer(&self, presented: Presented) -> Result<Audited, AuditError> {
        let outcome = self.grant_token(&presented).await;
        self.audit.record(outcome).await
    }

    async fn grant_token(&self, presented: &Presented) -> Result<Issued, Refused> {
        let now = self.now();
        let stranger = |refusal: Refusal| Refused::stranger(presented, refusal, now);
        let request = TokenRequest::parse(presented).map_err(stranger)?;
        let key = self.proofs.check(presented, now).map_err(stranger)?;
        let attested = self
            .attestors
            .attest(&request.client, &presented.connection, key.as_ref(), now)
            .await
            .map_err(stranger)?;
        let caller = Caller { attested, key };
        let mut receipt = Receipt::open(&caller, &request, presented, now);
        match self.grant_to_caller(caller, &request, presented, &mut receipt) {
            Ok(minted) => Ok(Issued::new(minted, receipt)),
            Err(refusal) => Err(Refused::caller(refusal, receipt)),
        }
    }

    fn grant_to_caller(
        &self,
        caller: Caller,
        request: &TokenRequest,
        presented: &Presented,
        receipt: &mut Receipt,
    ) -> Result<Minted, Refusal> {
        let now = receipt.record.time;
        let subject = VerifiedSubject::of_caller(&caller.attested);
        let inquiry = self.inquirer.about(&caller, request, presented, now)?;
        let policies = self.policies.current();
        receipt.ask(&inquiry, policies.fingerprint());
        let permit = policies.decide(inquiry)?;
        receipt.record.shadow = permit.shadow().cloned();
        self.mint.issue(Grant::bind(permit, caller, subject), now)
    }

    /// The workload at the other end of our Unix socket, if it is attested by that alone.
    pub(crate) async fn peer(&self, connection: &ConnectionInfo) -> Option<WorkloadId> {
        let client =
            PresentedClient { unverified_id: None, provider: None, credential: Credential::Connection };
        let attested = self.attestors.attest(&client, connection, None, self.now()).await.ok()?;
        Some(attested.workload().clone())
    }

    /// Answers a request that is turned away before it is looked at.
    ///
    /// # Errors
    /// [`AuditError`] as for [`TokenService::answer`].
    pub(crate) async fn turn_away(
        &self,
        id: DecisionId,
        source: Option<IpAddr>,
        refusal: Refusal,
    ) -> Result<Audited, AuditError> {
        self.audit.record(Err(Refused::at_the_door(id, source, refusal, self.now()))).await
    }

    /// A fresh decision id.
    ///
    /// # Errors
    /// [`AuditError::NoId`] if the random generator fails.
    pub(crate) fn next_id(&self) -> Result<DecisionId, AuditError> {
        let random = random_bytes().map_err(AuditError::NoId)?;
        Ok(DecisionId::new(Origin::Broker, self.now(), random))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}
