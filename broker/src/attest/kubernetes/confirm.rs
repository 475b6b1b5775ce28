//! Whether a cluster confirms, now, that a token is good and that its pod lives.
//! Not here: the signature, which was checked before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use symbolon_identity::{Audience, Timestamp};
use symbolon_policies::PodPosture;
use symbolon_token::{TokenHash, VerifiedToken};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::claims::{ClaimsError, PodRef};
use super::cluster::{Cluster, ClusterError};
use super::mirror::{Change, Mirror};
use super::pods::{SeenNode, SeenPod};
use super::recent::Recent;
use super::review::confirms;
use super::watch::Watched;

/// A yes of `TokenReview` is good for so long.
const YES: Duration = Duration::from_mins(1);
/// A no, for so long: whoever repeats it makes no work for the API server.
const NO: Duration = Duration::from_secs(5);
/// That a pod is gone is remembered for so long.
const GONE: Duration = Duration::from_mins(10);

const ANOTHER: &str = "another pod has its name now";
const ENDED: &str = "it has ended, or its time to end is over";

/// Asks one cluster, and remembers what it said.
#[derive(Debug)]
pub(crate) struct Confirmer {
    cluster: Arc<Cluster>,
    audience: Audience,
    reviews: Recent<TokenHash, Result<(), &'static str>>,
    /// The uids of pods that the API server does not know: they never come back.
    gone: Recent<String, &'static str>,
    pods: Mirror<SeenPod>,
    nodes: Mirror<SeenNode>,
}

/// What the cluster said.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) pod: Arc<SeenPod>,
    node_ready: Option<bool>,
}

/// Something that happened to a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PodEvent {
    /// It has ended or was deleted: the uid.
    Gone(String),
    /// It was deleted, and its grace ends then: the uid. Its object may stay for longer, if its node does not answer.
    Leaving(String, Timestamp),
    /// It, or its node, is another than before: the uid.
    Changed(String),
}

/// How a pod is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodNow {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) posture: PodPosture,
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

    /// Whether the cluster is away: that we ask it too much ourselves is no reason to believe a signature alone.
    pub(super) const fn is_away(&self) -> bool {
        self.is_outage() && !matches!(self, Self::Cluster(ClusterError::Busy))
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
            reviews: Recent::default(),
            gone: Recent::default(),
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
        self.review(text, token, pod).await?.map_err(PodError::NotConfirmed)?;
        let node_ready = self.node_ready(&seen);
        Ok(Confirmed { pod: seen, node_ready })
    }

    /// Whether the node of a pod is ready; none if that is not known now.
    fn node_ready(&self, pod: &SeenPod) -> Option<bool> {
        let node = pod.node.as_ref().filter(|_| self.nodes.is_fresh(Instant::now()))?;
        self.nodes.get(node).map(|node| node.is_ready)
    }

    /// What the cluster says of the token, or said of it just now.
    async fn review(
        &self,
        text: &str,
        token: &VerifiedToken,
        pod: &PodRef,
    ) -> Result<Result<(), &'static str>, ClusterError> {
        let hash = TokenHash::of(text);
        if let Some(verdict) = self.reviews.get(&hash, Instant::now()) {
            return Ok(verdict);
        }
        let review = self.cluster.review(text, &self.audience).await?;
        let verdict = confirms(&review, pod, token.claims(), &self.audience);
        let time = if verdict.is_ok() { YES } else { NO };
        self.reviews.put(hash, verdict, (Instant::now(), time));
        Ok(verdict)
    }

    async fn look_up(&self, pod: &PodRef) -> Result<Arc<SeenPod>, PodError> {
        // What is gone stays gone, whatever else is known.
        if let Some(why) = self.gone.get(&pod.pod_uid, Instant::now()) {
            return Err(PodError::Gone(why));
        }
        if !self.pods.is_fresh(Instant::now()) {
            return Err(PodError::Stale);
        }
        // A pod that had no node yet when we heard of it may have one now.
        let is_placed = |seen: &Arc<SeenPod>| seen.node.is_some() || pod.node.is_none();
        if let Some(seen) = self.pods.get(&pod.pod_uid).filter(is_placed) {
            return Ok(seen);
        }
        // A pod of this moment may not have reached us yet.
        let found = self.cluster.pod(pod).await?;
        let found =
            found.as_ref().map(|found| SeenPod::of(found).ok_or(ClusterError::Garbage("it is no pod")));
        match found.transpose()? {
            Some(seen) if seen.uid == pod.pod_uid => Ok(Arc::new(seen)),
            other => {
                let why = other.map_or("the cluster knows none of its name", |_| ANOTHER);
                self.gone.put(pod.pod_uid.clone(), why, (Instant::now(), GONE));
                Err(PodError::Gone(why))
            }
        }
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
            reduce: |node: &Node| SeenNode::of(node).map(|seen| (seen.name.clone(), seen)),
        };
        let tell = |event: PodEvent| {
            // If too many wait, whoever listens finds this one when it compares.
            let _ = events.try_send(event);
        };
        let tell_pod = |change: Change<SeenPod>| match change {
            Change::Went(pod) => self.part(&pod, &tell),
            Change::Became(pod) if pod.has_ended => self.part(&pod, &tell),
            Change::Became(pod) => {
                if let Some(at) = pod.gone_at {
                    tell(PodEvent::Leaving(pod.uid.clone(), at));
                }
                tell(PodEvent::Changed(pod.uid.clone()));
            }
            Change::Came | Change::Nothing => {}
        };
        let tell_node = |change: Change<SeenNode>| match change {
            Change::Became(node) | Change::Went(node) => {
                let pods = self.pods.keys_of(|pod| pod.node.as_ref() == Some(&node.name));
                for uid in pods {
                    tell(PodEvent::Changed(uid));
                }
            }
            Change::Came | Change::Nothing => {}
        };
        tokio::join!(pods.follow(tell_pod), nodes.follow(tell_node));
    }

    /// Remembers that a pod is gone, also for as long as the cluster is away, and tells it.
    fn part(&self, pod: &SeenPod, tell: &impl Fn(PodEvent)) {
        self.gone.put(pod.uid.clone(), ENDED, (Instant::now(), GONE));
        tell(PodEvent::Gone(pod.uid.clone()));
    }

    /// How a pod is now; none if that is not known, or if it is gone.
    pub(crate) fn now(&self, uid: &str, now: Timestamp) -> Option<PodNow> {
        let pod = self.pods.get(uid).filter(|pod| self.pods.is_fresh(Instant::now()) && pod.lives(now))?;
        let node_ready = self.node_ready(&pod);
        Some(PodNow { labels: pod.labels.clone(), posture: PodPosture { node_ready, ..pod.posture.clone() } })
    }

    /// Whether a pod is known to be gone: it is not in a mirror that is fresh.
    pub(crate) fn has_lost(&self, uid: &str, now: Timestamp) -> bool {
        self.pods.is_fresh(Instant::now()) && self.pods.get(uid).is_none_or(|pod| !pod.lives(now))
    }
}

/// Whether the pod that the cluster has is the one of the token.
fn check(seen: &SeenPod, pod: &PodRef, now: Timestamp) -> Result<(), PodError> {
    if seen.uid != pod.pod_uid {
        return Err(PodError::Gone(ANOTHER));
    }
    if seen.namespace != pod.namespace || seen.name != pod.pod || seen.service_account != pod.service_account
    {
        return Err(PodError::Gone("the pod of this uid has another name or service account"));
    }
    if pod.node.is_some() && seen.node != pod.node {
        return Err(PodError::Gone("it is on another node than the token says"));
    }
    if !seen.lives(now) {
        return Err(PodError::Gone(ENDED));
    }
    Ok(())
}
