//! Evidence that is a Kubernetes service account token of a pod: signed by its cluster, confirmed by it, bound to a key.
//! Not here: the issuer's keys (`symbolon-issuers`), or which key a pod is pinned to (`pins`).

mod claims;
mod cluster;
mod confirm;
mod events;
mod mirror;
mod pods;
mod recent;
mod review;
mod watch;

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use symbolon_cel::{Shape, Value, ValueError};
use symbolon_identity::{Audience, ProviderName, Timestamp, TrustDomain};
use symbolon_issuers::Issuer;
use symbolon_policies::{Assurance, KubernetesFacts, PodFacts};
use symbolon_token::{AudienceRule, Claims, VerifiedToken};

use super::attested::{Facts, Freshness, Identity};
use super::mapping::{Mapping, MappingError};
use super::oidc::{check_binding, not_delegated};
use super::{AttestFuture, Attested, Attestor, Evidence, Method, Unattested, Wanted, assertion_of};
use crate::config::Live;
use crate::grants::Assertion;
use crate::pins::{PinError, Pins, PodName};
use crate::proofs::ProvedKey;
use crate::refusal::Refusal;
use crate::store::Use;
use claims::PodRef;
use confirm::Confirmed;

pub(crate) use cluster::{Cluster, ClusterError, ClusterKeySet};
pub(crate) use confirm::{Confirmer, PodError, PodEvent, PodNow};

/// Checks tokens of one cluster.
#[derive(Debug)]
pub(super) struct KubernetesAttestor {
    pub(super) provider: ProviderName,
    pub(super) domain: TrustDomain,
    pub(super) issuer: Arc<Issuer>,
    pub(super) audience: Audience,
    pub(super) mapping: Mapping,
    pub(super) confirmer: Option<Arc<Confirmer>>,
    pub(super) live: Live,
    pub(super) sidecar: String,
    pub(super) allow_bearer: bool,
    pub(super) pins: Arc<Pins>,
}

/// What the expressions of a `kubernetes` provider may name.
pub(super) fn shape() -> Shape {
    Shape::record([
        ("namespace", Shape::String),
        ("service_account", Shape::String),
        ("service_account_uid", Shape::String),
        (
            "pod",
            Shape::record([
                ("name", Shape::String),
                ("uid", Shape::String),
                ("labels", Shape::map(Shape::String)),
            ]),
        ),
        ("node", Shape::String),
    ])
}

impl Attestor for KubernetesAttestor {
    fn provider(&self) -> &ProviderName {
        &self.provider
    }

    fn is_for(&self, evidence: &Evidence<'_>) -> bool {
        assertion_of(evidence, &self.issuer).is_some()
    }

    fn keys(&self) -> Option<&Issuer> {
        Some(&self.issuer)
    }

    fn wants(&self) -> Wanted<'_> {
        Wanted { method: Method::Kubernetes, issuer: Some(&self.issuer), audiences: vec![&self.audience] }
    }

    fn attest<'a>(&'a self, evidence: Evidence<'a>, now: Timestamp) -> AttestFuture<'a> {
        Box::pin(async move {
            let Some(assertion) = assertion_of(&evidence, &self.issuer) else {
                return Err(Refusal::EvidenceMissing.into());
            };
            let (token, pod) = self.verify(assertion, now).await?;
            let confirmed = self.confirm(assertion, &token, &pod, now).await?;
            let attested = self.attested(&token, &pod, confirmed.as_ref(), now)?;
            self.pinned(attested, (&token, &pod, confirmed.as_ref()), evidence.key, now).await
        })
    }
}

impl KubernetesAttestor {
    async fn verify(
        &self,
        assertion: &Assertion,
        now: Timestamp,
    ) -> Result<(VerifiedToken, PodRef), Refusal> {
        let rule = AudienceRule::Sole(&self.audience);
        let token = self.issuer.verify(&assertion.token, rule, now).await.map_err(Refusal::Evidence)?;
        not_delegated(token.claims())?;
        let pod = PodRef::of(token.claims()).map_err(|error| Refusal::Pod(PodError::Claims(error)))?;
        Ok((token, pod))
    }

    /// What the cluster says now; none if it is not asked, or need not be and cannot.
    async fn confirm(
        &self,
        assertion: &Assertion,
        token: &VerifiedToken,
        pod: &PodRef,
        now: Timestamp,
    ) -> Result<Option<Confirmed>, Refusal> {
        let Some(confirmer) = &self.confirmer else { return Ok(None) };
        match confirmer.confirm(assertion.text.expose_secret(), token, pod, now).await {
            Ok(word) => Ok(Some(word)),
            Err(error) if error.is_away() && self.live == Live::Preferred => {
                tracing::debug!(event.name = "kubernetes.not_live", provider = %self.provider, %error, "the signature counts alone");
                Ok(None)
            }
            Err(error) => Err(Refusal::Pod(error)),
        }
    }

    fn attested(
        &self,
        token: &VerifiedToken,
        pod: &PodRef,
        confirmed: Option<&Confirmed>,
        now: Timestamp,
    ) -> Result<Attested, Refusal> {
        let refused = |source: MappingError| Refusal::Mapping { provider: self.provider.clone(), source };
        let facts = self.facts(pod, confirmed);
        let fields = fields(pod, &facts).map_err(|error| refused(error.into()))?;
        let workload = self.mapping.workload(&fields, &self.domain).map_err(refused)?;
        let identity = Identity::new(workload, &self.provider, Method::Kubernetes);
        let assurance = if confirmed.is_some() { Assurance::Live } else { Assurance::Signed };
        let identity = identity.map_err(|error| refused(error.into()))?.with(assurance);
        let claims = token.claims();
        let freshness = Freshness {
            age: claims.issued_at.map(|issued_at| now.saturating_since(issued_at)),
            not_after: Some(claims.expires_at),
        };
        Ok(Attested::new(identity, Facts::Kubernetes(Box::new(facts)), fields, freshness))
    }

    fn facts(&self, pod: &PodRef, confirmed: Option<&Confirmed>) -> KubernetesFacts {
        KubernetesFacts {
            cluster: self.provider.as_str().to_owned(),
            namespace: pod.namespace.clone(),
            service_account: pod.service_account.clone(),
            pod: PodFacts {
                name: pod.pod.clone(),
                uid: pod.pod_uid.clone(),
                labels: confirmed.map(|confirmed| confirmed.pod.labels.clone()).unwrap_or_default(),
                posture: confirmed.map(Confirmed::posture),
            },
            node: pod.node.clone(),
        }
    }

    /// The same, by the key that its pod is pinned to.
    async fn pinned(
        &self,
        attested: Attested,
        (token, pod, confirmed): (&VerifiedToken, &PodRef, Option<&Confirmed>),
        key: Option<&ProvedKey>,
        now: Timestamp,
    ) -> Result<Attested, Unattested> {
        let wrong = |owner: Attested, refusal| Err(Unattested::WrongKey { owner: Box::new(owner), refusal });
        let claims: &Claims = token.claims();
        if let Err(refusal) = check_binding(claims, key) {
            return wrong(attested, refusal);
        }
        let Some(key) = key else {
            if self.allow_bearer {
                return Ok(attested);
            }
            let refusal = Refusal::EvidenceUnproved { provider: self.provider.clone() };
            return wrong(attested, refusal);
        };
        let name = PodName { provider: self.provider.clone(), uid: pod.pod_uid.clone() };
        let started = confirmed.and_then(|confirmed| confirmed.pod.started.get(&self.sidecar).copied());
        let held = self.pins.admit(&name, (key.thumbprint(), started), attested.workload(), now).await;
        match held {
            Ok(changed) => {
                // SECURITY: as for a key that takes the place of another: a node whose clock is ahead must not let one
                // start of the container count twice.
                let seen_at = started.map_or(now, |started| started.max(now));
                let pin = Use::Pin { pod: name, key: key.thumbprint(), seen_at, grant: None };
                Ok(attested.with_key_changed(changed).using(pin))
            }
            Err(PinError::OtherKey) => wrong(attested, Refusal::OtherKey),
            Err(PinError::Unavailable(error)) => {
                tracing::warn!(
                    event.name = "pins.unavailable",
                    error,
                    "it cannot be told which key a pod has"
                );
                Err(Refusal::PinUnavailable.into())
            }
        }
    }
}

fn fields(pod: &PodRef, facts: &KubernetesFacts) -> Result<Value, ValueError> {
    let labels = facts.pod.labels.iter().map(|(name, value)| (name.as_str(), value.as_str().into()));
    let own = Value::map([
        ("name", facts.pod.name.as_str().into()),
        ("uid", facts.pod.uid.as_str().into()),
        ("labels", Value::map(labels)?),
    ])?;
    let mut fields = vec![
        ("namespace", facts.namespace.as_str().into()),
        ("service_account", facts.service_account.as_str().into()),
        ("service_account_uid", pod.service_account_uid.as_str().into()),
        ("pod", own),
    ];
    fields.extend(facts.node.as_deref().map(|node| ("node", node.into())));
    Value::map(fields)
}
