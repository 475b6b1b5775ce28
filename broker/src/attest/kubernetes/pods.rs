//! A pod as the API server tells it, cut down to what is asked about it.
//! Not here: how it gets here (`mirror`).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod, PodSpec, SecurityContext};
use symbolon_identity::Timestamp;
use symbolon_policies::PodPosture;

/// What we remember of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenPod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) service_account: String,
    pub(super) node: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) posture: PodPosture,
    /// Whether all of its containers have ended for good.
    pub(super) has_ended: bool,
    /// When it will be gone, if somebody deleted it.
    pub(super) gone_at: Option<Timestamp>,
    /// When each container that runs was started.
    pub(super) started: BTreeMap<String, Timestamp>,
}

impl SeenPod {
    /// What there is to remember of a pod; none if it lacks what every pod of an API server has.
    pub(super) fn of(pod: &Pod) -> Option<Self> {
        let (metadata, spec) = (&pod.metadata, pod.spec.as_ref()?);
        let status = pod.status.as_ref();
        let statuses: Vec<&ContainerStatus> = status
            .iter()
            .flat_map(|status| {
                let all = [
                    &status.init_container_statuses,
                    &status.container_statuses,
                    &status.ephemeral_container_statuses,
                ];
                all.into_iter().flatten().flatten()
            })
            .collect();
        let phase = status.and_then(|status| status.phase.as_deref());
        let started = statuses.iter().filter_map(|status| {
            let running = status.state.as_ref()?.running.as_ref()?;
            Some((status.name.clone(), timestamp(&running.started_at.as_ref()?.0)?))
        });
        Some(Self {
            namespace: metadata.namespace.clone()?,
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            service_account: spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
            node: spec.node_name.clone(),
            labels: metadata.labels.clone().unwrap_or_default(),
            posture: posture(pod, spec, &statuses),
            has_ended: matches!(phase, Some("Succeeded" | "Failed")),
            gone_at: metadata.deletion_timestamp.as_ref().and_then(|time| timestamp(&time.0)),
            started: started.collect(),
        })
    }

    /// Whether tokens that are bound to it still mean a pod that lives.
    pub(super) fn lives(&self, now: Timestamp) -> bool {
        !self.has_ended && self.gone_at.is_none_or(|gone_at| now <= gone_at)
    }
}

fn posture(pod: &Pod, spec: &PodSpec, statuses: &[&ContainerStatus]) -> PodPosture {
    let contexts: Vec<&SecurityContext> = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .filter_map(|container| container.security_context.as_ref())
        .chain(spec.ephemeral_containers.iter().flatten().filter_map(|it| it.security_context.as_ref()))
        .collect();
    let digests: BTreeSet<String> = statuses.iter().filter_map(|status| digest(&status.image_id)).collect();
    let lengths = [
        spec.containers.len(),
        spec.init_containers.as_ref().map_or(0, Vec::len),
        spec.ephemeral_containers.as_ref().map_or(0, Vec::len),
    ];
    let containers: usize = lengths.into_iter().sum();
    let known = statuses.iter().filter(|status| digest(&status.image_id).is_some()).count();
    let controllers = pod.metadata.owner_references.iter().flatten();
    let controller = { controllers }.find(|owner| owner.controller == Some(true));
    PodPosture {
        created_at: pod.metadata.creation_timestamp.as_ref().and_then(|time| timestamp(&time.0)),
        owner: controller.map(|owner| format!("{}/{}", owner.kind, owner.name)),
        image_digests: digests,
        all_images_known: known >= containers,
        host_namespaces: [spec.host_network, spec.host_pid, spec.host_ipc].contains(&Some(true)),
        privileged: contexts.iter().any(|context| context.privileged == Some(true)),
        ephemeral_containers: spec.ephemeral_containers.as_ref().is_some_and(|some| !some.is_empty()),
        node_ready: None,
    }
}

/// The digest of an image that runs: `docker.io/x@sha256:…`, or `sha256:…` alone.
fn digest(image_id: &str) -> Option<String> {
    let digest = image_id.rsplit_once('@').map_or(image_id, |(_, digest)| digest);
    let hex = digest.strip_prefix("sha256:")?;
    let is_digest =
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_digest.then(|| digest.to_owned())
}

/// What we remember of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenNode {
    pub(super) name: String,
    /// Whether it says that it is ready.
    pub(super) is_ready: bool,
}

impl SeenNode {
    pub(super) fn of(node: &Node) -> Option<Self> {
        let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        Some(Self {
            name: node.metadata.name.clone()?,
            is_ready: conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        })
    }
}

fn timestamp(time: &k8s_openapi::jiff::Timestamp) -> Option<Timestamp> {
    Timestamp::from_secs(u64::try_from(time.as_second()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {
                "name": "cart", "namespace": "shop", "uid": "u1", "labels": { "app": "cart" },
                "creationTimestamp": "2026-11-01T00:00:00Z",
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-7d9f", "uid": "u2", "controller": true }],
            },
            "spec": { "nodeName": "node-1", "serviceAccountName": "cart", "containers": [{ "name": "app" }],
                      "initContainers": [{ "name": "symbolon-sidecar" }] },
            "status": { "phase": "Running",
                "initContainerStatuses": [{ "name": "symbolon-sidecar", "image": "s", "imageID": format!("reg/s@sha256:{}", "b".repeat(64)), "ready": true, "restartCount": 0,
                    "state": { "running": { "startedAt": "2026-11-01T00:00:05Z" } } }],
                "containerStatuses": [{ "name": "app", "image": "a", "imageID": format!("reg/a@sha256:{}", "a".repeat(64)), "ready": true, "restartCount": 0,
                    "state": { "running": { "startedAt": "2026-11-01T00:00:07Z" } } }] },
        })
    }

    fn seen(pod: Value) -> SeenPod {
        SeenPod::of(&serde_json::from_value(pod).unwrap()).unwrap()
    }

    #[test]
    fn a_plain_pod_is_plain() {
        let seen = seen(pod());
        let posture = &seen.posture;
        assert_eq!(posture.owner.as_deref(), Some("ReplicaSet/cart-7d9f"));
        assert_eq!((posture.image_digests.len(), posture.all_images_known), (2, true));
        assert!(!posture.host_namespaces && !posture.privileged && !posture.ephemeral_containers);
        assert_eq!(seen.started["symbolon-sidecar"].as_secs(), 1_793_491_205);
        assert!(seen.lives(Timestamp::from_secs(1_793_500_000).unwrap()));
    }

    #[test]
    fn what_makes_a_pod_unlike_others_is_seen() {
        for (path, value, shown) in [
            ("/spec/hostNetwork", json!(true), (true, false, false)),
            ("/spec/hostPID", json!(true), (true, false, false)),
            ("/spec/hostIPC", json!(true), (true, false, false)),
            ("/spec/containers/0/securityContext", json!({ "privileged": true }), (false, true, false)),
            ("/spec/initContainers/0/securityContext", json!({ "privileged": true }), (false, true, false)),
            ("/spec/ephemeralContainers", json!([{ "name": "debugger" }]), (false, false, true)),
        ] {
            let mut pod = pod();
            let (parent, member) = path.rsplit_once('/').unwrap();
            pod.pointer_mut(parent).unwrap()[member] = value;
            let posture = seen(pod).posture;
            assert_eq!(
                (posture.host_namespaces, posture.privileged, posture.ephemeral_containers),
                shown,
                "{path}"
            );
        }
    }

    #[test]
    fn an_image_without_a_digest_is_not_known() {
        for odd in ["", "reg/a:latest", "reg/a@sha256:short", &format!("reg/a@sha256:{}", "Z".repeat(64))] {
            let mut pod = pod();
            pod["status"]["containerStatuses"][0]["imageID"] = json!(odd);
            let posture = seen(pod).posture;
            assert_eq!((posture.image_digests.len(), posture.all_images_known), (1, false), "{odd}");
        }
        let mut pod = pod();
        pod["status"].as_object_mut().unwrap().remove("containerStatuses");
        assert!(!seen(pod).posture.all_images_known, "a container that has not started runs no known image");
    }

    #[test]
    fn a_pod_that_ended_or_was_deleted_does_not_live() {
        let now = Timestamp::from_secs(1_793_500_000).unwrap();
        for phase in ["Succeeded", "Failed"] {
            let mut pod = pod();
            pod["status"]["phase"] = json!(phase);
            assert!(!seen(pod).lives(now), "{phase}");
        }
        let mut leaving = pod();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-01T02:26:39Z");
        let leaving = seen(leaving);
        assert!(!leaving.lives(now));
        assert!(leaving.lives(Timestamp::from_secs(1_793_499_990).unwrap()), "it has its grace period");
    }
}
