//! Whether a cluster confirms, now, that a token is good and that its pod lives.
//! Not here: the signature, which was checked before.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use symbolon_identity::{Audience, Timestamp};
use symbolon_policies::PodPosture;
use symbolon_token::{TokenHash, VerifiedToken};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::claims::{ClaimsError, PodRef};
use super::cluster::{Cluster, ClusterError};
use super::mirror::{Change, Mirror};
use super::pods::{SeenPod, is_ready};
use super::review::{Reviews, confirms};
use super::watch::Watched;

/// Asks one cluster, and remembers what it said.
#[derive(Debug)]
pub(crate) struct Confirmer {
    cluster: Arc<Cluster>,
    audience: Audience,
    reviews: Reviews,
    pods: Mirror<SeenPod>,
    nodes: Mirror<bool>,
}

/// What the cluster said.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) pod: Arc<SeenPod>,
    node_ready: Option<bool>,
}

/// Something that happened to a pod.
#[derive(Debug)]
pub(crate) enum PodEvent {
    /// It has ended or was deleted: the uid.
    Gone(String),
}

/// Why a token's pod is not attested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PodError {
    /// The token does not name a pod.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// There is no such pod, or it has ended.
    #[error("the pod is not there: {0}")]
    Gone(&'static str),
    /// The cluster does not confirm the token.
    #[error("the cluster's TokenReview does not confirm the token: {0}")]
    NotConfirmed(&'static str),
    /// The cluster has not been heard of for too long.
    #[error("the cluster's pods have not been heard of for more than ten seconds")]
    Stale,
    /// The cluster does not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl PodError {
    /// Whether it says nothing about the token.
    pub(crate) const fn is_outage(&self) -> bool {
        matches!(self, Self::Stale | Self::Cluster(_))
    }
}

impl Confirmed {
    /// How the pod runs.
    pub(super) fn posture(&self) -> PodPosture {
        PodPosture { node_ready: self.node_ready, ..self.pod.posture.clone() }
    }
}

impl Confirmer {
    pub(crate) fn new(cluster: Arc<Cluster>, audience: Audience) -> Self {
        Self {
            cluster,
            audience,
            reviews: Reviews::default(),
            pods: Mirror::default(),
            nodes: Mirror::default(),
        }
    }

    /// The cluster that it asks.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Whether the token and its pod are good now.
    pub(super) async fn confirm(
        &self,
        text: &str,
        token: &VerifiedToken,
        pod: &PodRef,
        now: Timestamp,
    ) -> Result<Confirmed, PodError> {
        let seen = self.look_up(pod).await?;
        check(&seen, pod, now)?;
        let hash = TokenHash::of(text);
        if !self.reviews.knows(&hash, Instant::now()) {
            let review = self.cluster.review(text, &self.audience).await?;
            confirms(&review, pod, token.claims(), &self.audience).map_err(PodError::NotConfirmed)?;
            self.reviews.remember(hash, Instant::now());
        }
        let node_ready = seen.node.as_ref().filter(|_| self.nodes.is_fresh(Instant::now()));
        let node_ready = node_ready.and_then(|node| self.nodes.get(node)).map(|ready| *ready);
        Ok(Confirmed { pod: seen, node_ready })
    }

    async fn look_up(&self, pod: &PodRef) -> Result<Arc<SeenPod>, PodError> {
        if !self.pods.is_fresh(Instant::now()) {
            return Err(PodError::Stale);
        }
        if let Some(seen) = self.pods.get(&pod.pod_uid) {
            return Ok(seen);
        }
        // A pod of this moment may not have reached us yet.
        let found =
            self.cluster.pod(pod).await?.ok_or(PodError::Gone("the cluster knows none of its name"))?;
        let seen = SeenPod::of(&found).ok_or(ClusterError::Garbage("it is no pod"))?;
        Ok(Arc::new(seen))
    }

    /// Follows the cluster for ever, and tells which pods went.
    pub(crate) async fn follow(&self, events: mpsc::Sender<PodEvent>) {
        let pods = Watched {
            cluster: &self.cluster,
            path: "/api/v1/pods",
            mirror: &self.pods,
            reduce: |pod: &Pod| SeenPod::of(pod).map(|seen| (seen.uid.clone(), seen)),
        };
        let nodes = Watched {
            cluster: &self.cluster,
            path: "/api/v1/nodes",
            mirror: &self.nodes,
            reduce: |node: &Node| Some((node.metadata.name.clone()?, is_ready(node))),
        };
        let tell = |change: Change<SeenPod>| {
            let gone = match change {
                Change::Went(pod) => Some(pod.uid.clone()),
                Change::Became(pod) if pod.has_ended => Some(pod.uid.clone()),
                Change::Became(_) | Change::Came | Change::Nothing => None,
            };
            if let Some(uid) = gone {
                // If too many wait, whoever listens finds this one when it compares.
                let _ = events.try_send(PodEvent::Gone(uid));
            }
        };
        tokio::join!(pods.follow(tell), nodes.follow(|_| {}));
    }

    /// Whether a pod is known to be gone: it is not in a mirror that is fresh.
    pub(crate) fn has_lost(&self, uid: &str) -> bool {
        self.pods.is_fresh(Instant::now()) && self.pods.get(uid).is_none_or(|pod| pod.has_ended)
    }
}

/// Whether the pod that the cluster has is the one of the token.
fn check(seen: &SeenPod, pod: &PodRef, now: Timestamp) -> Result<(), PodError> {
    if seen.uid != pod.pod_uid {
        return Err(PodError::Gone("another pod has its name now"));
    }
    if seen.namespace != pod.namespace || seen.name != pod.pod || seen.service_account != pod.service_account
    {
        return Err(PodError::Gone("the pod of this uid has another name or service account"));
    }
    if pod.node.is_some() && seen.node != pod.node {
        return Err(PodError::Gone("it is on another node than the token says"));
    }
    if !seen.lives(now) {
        return Err(PodError::Gone("it has ended, or its time to end is over"));
    }
    Ok(())
}
