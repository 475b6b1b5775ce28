//! From evidence to an attested workload: who vouches for this caller, and what for.
//! Not here: what the workload may do. An [`Attested`] is made in this module tree and nowhere else.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod appraise;
mod attested;
mod blueprint;
mod clients;
mod kubernetes;
mod mapping;
mod oidc;
mod unix;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use symbolon_http::server::ConnectionInfo;
use symbolon_identity::{Audience, ProviderName, Timestamp};
use symbolon_issuers::Issuer;

use crate::grants::{Assertion, Credential, PresentedClient};
use crate::proofs::ProvedKey;
use crate::refusal::Refusal;

pub(crate) use appraise::{Appraised, Considered, Verdict};
pub(crate) use attested::{Attested, Method, language};
pub(crate) use blueprint::{Blueprint, BlueprintError, Surroundings};
pub(crate) use kubernetes::{ClusterError, Confirmer, PodError, PodEvent, PodNow};
pub(crate) use mapping::MappingError;
pub(crate) use unix::{DigestError, ProcessError};

/// The answer of an attestor, boxed so that attestors of all kinds stand in one list.
pub(crate) type AttestFuture<'a> = Pin<Box<dyn Future<Output = Result<Attested, Unattested>> + Send + 'a>>;

/// Why evidence does not stand for the caller.
#[derive(Debug)]
pub(crate) enum Unattested {
    /// Nobody was attested.
    Stranger(Refusal),
    /// The evidence is genuine, and whoever presented it does not hold the key that it belongs to: it was stolen, or
    /// its owner lost the key. Whose evidence it is is for the record only.
    WrongKey {
        /// Whose evidence it is; its presentation uses nothing up, or a thief could spend it.
        owner: Box<Attested>,
        /// The refusal.
        refusal: Refusal,
    },
}

impl From<Refusal> for Unattested {
    fn from(refusal: Refusal) -> Self {
        Self::Stranger(refusal)
    }
}

/// Somebody who can vouch for workloads.
pub(crate) trait Attestor: Debug + Send + Sync {
    /// The name under which policies know it.
    fn provider(&self) -> &ProviderName;

    /// Whether evidence like this is for it to check. It decides by kind and exact issuer only; nothing is proven yet.
    fn is_for(&self, evidence: &Evidence<'_>) -> bool;

    /// The issuer whose keys its evidence is signed with, if others may have the same name.
    fn keys(&self) -> Option<&Issuer> {
        None
    }

    /// What it takes, in words for operators.
    fn wants(&self) -> Wanted<'_>;

    /// Checks the evidence.
    fn attest<'a>(&'a self, evidence: Evidence<'a>, now: Timestamp) -> AttestFuture<'a>;
}

/// What an attestor takes.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    /// By which method it attests.
    pub(crate) method: Method,
    /// The issuer of its tokens, if it is one.
    pub(crate) issuer: Option<&'a Issuer>,
    /// Whom its tokens are addressed to: exactly one of these.
    pub(crate) audiences: Vec<&'a Audience>,
}

/// What a caller brings to be attested.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'a> {
    /// What it authenticates with.
    pub(crate) credential: &'a Credential,
    /// The facts about the connection.
    pub(crate) connection: &'a ConnectionInfo,
    /// The key that it holds now, if it proved one.
    pub(crate) key: Option<&'a ProvedKey>,
}

/// All attestors of this broker.
#[derive(Debug)]
pub(crate) struct Attestors {
    all: Vec<Box<dyn Attestor>>,
    confirmers: Vec<Arc<Confirmer>>,
}

impl Attestors {
    /// Those who ask clusters, to be kept up to date.
    pub(crate) fn confirmers(&self) -> &[Arc<Confirmer>] {
        &self.confirmers
    }

    /// Attests a caller by the one attestor that its evidence is for.
    ///
    /// # Errors
    /// [`Unattested`] if no attestor or more than one would take the evidence, or if it does not pass.
    pub(crate) async fn attest(
        &self,
        client: &PresentedClient,
        connection: &ConnectionInfo,
        key: Option<&ProvedKey>,
        now: Timestamp,
    ) -> Result<Attested, Unattested> {
        let evidence = Evidence { credential: &client.credential, connection, key };
        let attestor = self.choose(&evidence, client.provider.as_deref(), now)?;
        attest_by(attestor, client, evidence, now).await
    }

    /// The caller's choice of a provider narrows down; it never brings in one that the evidence is not for.
    fn choose(
        &self,
        evidence: &Evidence<'_>,
        named: Option<&str>,
        now: Timestamp,
    ) -> Result<&dyn Attestor, Refusal> {
        let all: Vec<&dyn Attestor> = self
            .all
            .iter()
            .map(|attestor| &**attestor)
            .filter(|attestor| attestor.is_for(evidence))
            .collect();
        let is_named =
            |attestor: &dyn Attestor| named.is_none_or(|name| attestor.provider().as_str() == name);
        let fitting: Vec<&dyn Attestor> =
            all.iter().copied().filter(|attestor| is_named(*attestor)).collect();
        if all.len() > 1 && all.iter().all(|attestor| attestor.keys().is_some()) {
            return by_key(evidence, &all, &fitting, now);
        }
        match fitting[..] {
            [attestor] => Ok(attestor),
            [] => Err(Refusal::UnknownClient),
            [..] => Err(Refusal::ProviderAmbiguous),
        }
    }
}

/// Attests by an attestor that was chosen, and compares with who the caller says it is.
async fn attest_by(
    attestor: &dyn Attestor,
    client: &PresentedClient,
    evidence: Evidence<'_>,
    now: Timestamp,
) -> Result<Attested, Unattested> {
    let attested = attestor.attest(evidence, now).await?;
    match &client.unverified_id {
        Some(claimed) if !attested.is_called(claimed) => Err(Refusal::ClientMismatch.into()),
        _ => Ok(attested),
    }
}

/// The assertion, if it names this issuer; nothing is proven yet.
fn assertion_of<'a>(evidence: &Evidence<'a>, issuer: &Issuer) -> Option<&'a Assertion> {
    match evidence.credential {
        Credential::Connection => None,
        Credential::Assertion(assertion) => {
            Some(&**assertion).filter(|it| it.token.issuer_hint() == Some(issuer.url().as_str()))
        }
    }
}

/// Of providers with one issuer, the one whose key the evidence names. None of them is believed while two share a key:
/// then nobody could say which cluster signed.
fn by_key<'a>(
    evidence: &Evidence<'_>,
    all: &[&'a dyn Attestor],
    fitting: &[&'a dyn Attestor],
    now: Timestamp,
) -> Result<&'a dyn Attestor, Refusal> {
    let Credential::Assertion(assertion) = evidence.credential else { return Err(Refusal::UnknownClient) };
    let issuers: Vec<&Issuer> = all.iter().filter_map(|attestor| attestor.keys()).collect();
    for (nth, issuer) in issuers.iter().enumerate() {
        if issuers.iter().skip(nth.saturating_add(1)).any(|other| issuer.shares_key(other, now)) {
            return Err(Refusal::ProviderAmbiguous);
        }
    }
    let token = &assertion.token;
    let holds =
        |attestor: &&&dyn Attestor| attestor.keys().is_some_and(|issuer| issuer.may_verify(token, now));
    let mut holders = fitting.iter().filter(holds);
    match (holders.next(), holders.next(), fitting) {
        // A key that nobody has yet may be on its way; whoever is asked waits for it.
        (Some(attestor), None, _) | (None, _, [attestor]) => Ok(*attestor),
        (Some(_), Some(_), _) => Err(Refusal::ProviderAmbiguous),
        (None, _, []) => Err(Refusal::UnknownClient),
        (None, _, [..]) => match issuers.iter().find(|issuer| !issuer.status(now).usable) {
            Some(issuer) => Err(Refusal::Evidence(issuer.keys_unavailable())),
            None => Err(Refusal::KeyOfNone),
        },
    }
}

#[cfg(test)]
mod tests;
