//! What a Kubernetes cluster says about the pod that asks.
//! Not here: checking it; the broker's attestor does, and only what it checked gets here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use symbolon_identity::Timestamp;

/// A pod of a cluster, by its bound service account token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesFacts {
    /// The cluster, by the name of its trust provider.
    pub cluster: String,
    /// The namespace of the pod and its service account.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The pod.
    pub pod: PodFacts,
    /// The node that it runs on, if the token says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodFacts {
    /// Its name.
    pub name: String,
    /// Its uid: another pod of the same name has another one.
    pub uid: String,
    /// Its labels, as far as the cluster was asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the cluster says about it; none if it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<PodPosture>,
}

/// How a pod runs, by the word of the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, which policies read by name")]
pub struct PodPosture {
    /// When the pod was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// What controls it, `Kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The digests of the images that its containers run, as `sha256:…`; those of its init containers too.
    pub image_digests: BTreeSet<String>,
    /// Whether each of its containers is known by its digest.
    pub all_images_known: bool,
    /// Whether it shares the network, the processes or the IPC of its node.
    pub host_namespaces: bool,
    /// Whether a container is privileged.
    pub privileged: bool,
    /// Whether a debug container was attached to it.
    pub ephemeral_containers: bool,
    /// Whether its node is ready; none if nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_ready: Option<bool>,
}
