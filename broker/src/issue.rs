//! The heart: parse → prove key → attest → verify subject → decide → mint → audit.
//! Not here: any of those steps; each has a module, and a type that only it can make.

use std::net::IpAddr;
use std::sync::Arc;

use symbolon_daemon::Clock;
use symbolon_http::server::ConnectionInfo;
use symbolon_identity::{DecisionId, Timestamp, WorkloadId};

use crate::attest::{Attestors, Unattested};
use crate::audit::{Audit, AuditError, Audited, Issued, Refused};
use crate::grants::{Credential, PresentedClient, TokenRequest};
use crate::inquiry::{Asked, Caller, Inquirer};
use crate::mint::{Grant, Mint, Minted};
use crate::policies::Policies;
use crate::presented::Presented;
use crate::proofs::Proofs;
use crate::record::Receipt;
use crate::refusal::Refusal;
use crate::revoke::Revocations;
use crate::subject::Subjects;

/// Answers token requests.
#[derive(Debug)]
pub(crate) struct TokenService {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) proofs: Proofs,
    pub(crate) attestors: Arc<Attestors>,
    pub(crate) subjects: Subjects,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) inquirer: Arc<Inquirer>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) mint: Mint,
    pub(crate) audit: Audit,
}

impl TokenService {
    /// Answers a request: with a token or a refusal, either of them on record.
    ///
    /// # Errors
    /// [`AuditError`] if the answer could not be put on record; it is then not given.
    pub(crate) async fn answer(&self, presented: &Presented) -> Result<Audited, AuditError> {
        let outcome = self.grant_token(presented).await;
        self.audit.record(outcome).await
    }

    async fn grant_token(&self, presented: &Presented) -> Result<Issued, Refused> {
        let now = self.now();
        let stranger = |refusal: Refusal| Refused::stranger(presented, refusal, now);
        let request = TokenRequest::parse(presented).map_err(stranger)?;
        let key = self.proofs.check(presented, now).map_err(stranger)?;
        let attested = self.attestors.attest(&request.client, &presented.connection, key.as_ref(), now).await;
        let attested = match attested {
            Ok(attested) => attested,
            Err(Unattested::Stranger(refusal)) => return Err(stranger(refusal)),
            Err(Unattested::WrongKey { owner, refusal }) => {
                let receipt = Receipt::open(&Caller { attested: *owner, key }, &request, presented, now);
                return Err(Refused::caller(refusal, receipt));
            }
        };
        let caller = Caller { attested, key };
        let mut receipt = Receipt::open(&caller, &request, presented, now);
        match self.grant_to_caller(caller, &request, presented, &mut receipt).await {
            Ok(minted) => Ok(Issued::new(minted, receipt)),
            Err(refusal) => {
                let refusal = if request.exchange.is_some() { refusal.of_exchange() } else { refusal };
                Err(Refused::caller(refusal, receipt))
            }
        }
    }

    async fn grant_to_caller(
        &self,
        caller: Caller,
        request: &TokenRequest,
        presented: &Presented,
        receipt: &mut Receipt,
    ) -> Result<Minted, Refusal> {
        let now = receipt.record.time;
        self.revocations.admit_caller(&caller, now)?;
        let (exchange, resources) = (request.exchange.as_ref(), &self.inquirer.resources);
        let subject = self.subjects.verify(exchange, &caller, resources, now).await?;
        self.revocations.admit_subject(&subject, now)?;
        receipt.behalf(&subject);
        let asked = Asked { caller: &caller, subject: &subject, request, presented, now };
        let inquiry = self.inquirer.about(&asked)?;
        let policies = self.policies.current();
        receipt.ask(&inquiry, policies.fingerprint());
        let permit = policies.decide(inquiry, &mut receipt.record.failed_policies)?;
        receipt.record.shadow = permit.shadow().cloned();
        let wanted = exchange.map(|exchange| exchange.wanted);
        self.mint.issue(Grant::bind(permit, caller, subject, wanted), now)
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

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}
