//! What the tests make in a cluster: nodes, namespaces, accounts, pods and their states, tokens.
//! Not here: running what a pod says.

use std::time::Duration;

use serde_json::{Value, json};
use symbolon_identity::Timestamp;

use super::Cluster;
use crate::issuer::random;
use crate::machine::now;
use crate::process::wait_for;

const MADE: Duration = Duration::from_mins(1);

/// What a token ends with.
#[derive(Debug, Clone, Copy)]
pub enum Bound<'a> {
    /// Its account only.
    Account,
    /// The pod of this name and uid.
    Pod(&'a str, &'a str),
    /// The Secret of this name and uid.
    Secret(&'a str, &'a str),
    /// The Node of this name and uid.
    Node(&'a str, &'a str),
}

impl Bound<'_> {
    fn reference(self) -> Value {
        let reference = |kind: &str, name: &str, uid: &str| {
            let version = "v1";
            json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid})
        };
        match self {
            Self::Account => Value::Null,
            Self::Pod(name, uid) => reference("Pod", name, uid),
            Self::Secret(name, uid) => reference("Secret", name, uid),
            Self::Node(name, uid) => reference("Node", name, uid),
        }
    }
}

/// The `metadata.uid` of an object; empty if it has none.
#[must_use]
pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// The `metadata.name` of an object; empty if it has none.
#[must_use]
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// A pod of one container that no admission refuses.
#[must_use]
pub fn plain_pod(name: &str, account: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "serviceAccountName": account,
            "nodeName": node,
            "containers": [{"name": "app", "image": "app.test/app:1"}],
        },
    })
}

/// What a kubelet says of a container that runs.
#[must_use]
pub fn running_container(name: &str, image: &str, image_id: &str) -> Value {
    json!({
        "name": name,
        "image": image,
        "imageID": image_id,
        "containerID": format!("containerd://{}", hexadecimal()),
        "ready": true,
        "started": true,
        "restartCount": 0,
        "state": {"running": {"startedAt": rfc3339()}},
    })
}

/// The time as the API writes it.
#[must_use]
pub fn rfc3339() -> String {
    Timestamp::from_secs_saturating(now()).to_string()
}

/// A name that nobody else has.
#[must_use]
pub fn unique(name: &str) -> String {
    format!("{name}-{}", &hexadecimal()[..10])
}

fn hexadecimal() -> String {
    format!("{:032x}", u128::from_be_bytes(random()))
}

impl Cluster {
    /// A namespace of its own for a test, with labels; it has the account `default` and the CA's certificate, as
    /// controllers give them to it.
    ///
    /// # Panics
    /// If it is refused, or the controllers do not do their part in time.
    pub async fn namespace(&self, name: &str, labels: &Value) -> String {
        let name = unique(name);
        let object = json!({"metadata": {"name": name, "labels": labels}});
        self.admin.create("/api/v1/namespaces", &object).await;
        let of = |kind: &str| format!("/api/v1/namespaces/{name}/{kind}");
        if self.controllers.is_some() {
            wait_for("the controllers have seen the namespace", MADE, async || {
                let account = self.admin.find(&of("serviceaccounts/default")).await;
                account.is_some() && self.admin.find(&of("configmaps/kube-root-ca.crt")).await.is_some()
            })
            .await;
        } else {
            self.service_account(&name, "default").await;
            let ca = std::fs::read_to_string(self.ca_file()).unwrap();
            let object = json!({"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ca}});
            self.admin.create(&of("configmaps"), &object).await;
        }
        name
    }

    /// A node that is ready, and nothing behind it.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn node(&self, name: &str) -> Value {
        let node = json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}});
        self.admin.create("/api/v1/nodes", &node).await;
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
            "lastHeartbeatTime": rfc3339(), "lastTransitionTime": rfc3339(),
        });
        let room = json!({"cpu": "8", "memory": "16Gi", "pods": "110"});
        let status = json!({
            "capacity": room,
            "allocatable": room,
            "conditions": [condition],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.37.2"},
        });
        self.admin.patch(&format!("/api/v1/nodes/{name}/status"), &json!({"status": status})).await
    }

    /// A service account.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Value {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.admin.create(&path, &json!({"metadata": {"name": name}})).await
    }

    /// A [`plain_pod`], bound to a node.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn pod(&self, namespace: &str, name: &str, account: &str, node: &str) -> Value {
        self.admin.create(&pods(namespace), &plain_pod(name, account, node)).await
    }

    /// Binds a pod to a node, as the scheduler does.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn schedule(&self, namespace: &str, pod: &str, node: &str) {
        let target = json!({"apiVersion": "v1", "kind": "Node", "name": node});
        let binding = json!({"metadata": {"name": pod}, "target": target});
        self.admin.create(&format!("{}/{pod}/binding", pods(namespace)), &binding).await;
    }

    /// Says of a pod what its kubelet would say: a phase, and containers as [`running_container`] makes them.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn pod_status(&self, namespace: &str, pod: &str, phase: &str, containers: &[Value]) -> Value {
        let ready = if phase == "Running" { "True" } else { "False" };
        let conditions = ["Initialized", "ContainersReady", "Ready"].map(|kind| {
            let status = if kind == "Initialized" { "True" } else { ready };
            json!({"type": kind, "status": status, "lastTransitionTime": rfc3339()})
        });
        let status = json!({
            "phase": phase,
            "startTime": rfc3339(),
            "hostIP": "127.0.0.1",
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "conditions": conditions,
            "containerStatuses": containers,
        });
        self.admin.patch(&format!("{}/{pod}/status", pods(namespace)), &json!({"status": status})).await
    }

    /// Deletes a pod at once.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn delete_pod(&self, namespace: &str, pod: &str) {
        self.admin.delete(&format!("{}/{pod}", pods(namespace))).await;
    }

    /// A token of an account (namespace and name); without audiences for the server itself, for at least 600 seconds.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn token_request(
        &self,
        (namespace, account): (&str, &str),
        audiences: &[&str],
        seconds: u64,
        bound: Bound<'_>,
    ) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let spec = json!({"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound.reference()});
        let answer = self.admin.create(&path, &json!({"spec": spec})).await;
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// What the server says of a token: the `status` of a `TokenReview`.
    ///
    /// # Panics
    /// If it says nothing.
    pub async fn token_review(&self, token: &str, audiences: &[&str]) -> Value {
        let review = json!({"spec": {"token": token, "audiences": audiences}});
        let mut answer = self.admin.create("/apis/authentication.k8s.io/v1/tokenreviews", &review).await;
        answer["status"].take()
    }

    /// A cluster role of this name with these rules, given to an account (namespace and name).
    ///
    /// # Panics
    /// If it is refused.
    pub async fn grant(&self, role: &str, rules: &Value, (namespace, account): (&str, &str)) {
        let group = "rbac.authorization.k8s.io";
        let path = |kind: &str| format!("/apis/{group}/v1/{kind}");
        let object = json!({"metadata": {"name": role}, "rules": rules});
        self.admin.ensure(&path("clusterroles"), &object).await;
        let binding = json!({
            "metadata": {"name": unique(role)},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": account}],
        });
        self.admin.create(&path("clusterrolebindings"), &binding).await;
    }

    /// Lets anybody read the keys of its tokens, as managed clusters do.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn publish_keys(&self) {
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "metadata": {"name": "published-keys"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:service-account-issuer-discovery"},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:unauthenticated"}],
        });
        self.admin.ensure(&format!("/apis/{group}/v1/clusterrolebindings"), &binding).await;
    }

    /// A token for the API itself that a new account has, which may do what the rules say: for a program under test.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn caller(&self, namespace: &str, account: &str, rules: &Value) -> String {
        self.service_account(namespace, account).await;
        self.grant(&unique(account), rules, (namespace, account)).await;
        self.token_request((namespace, account), &[], 3600, Bound::Account).await
    }

    /// Applies manifests as `kubectl apply --server-side` does.
    ///
    /// # Panics
    /// If they are refused.
    pub async fn apply(&self, manifests: &str) {
        let run = self.kubectl(&["apply", "--server-side", "-f", "-"], manifests).await;
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
}

fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}
