//! The chart before a real API server: it takes every object, and holds accounts and pods to what the chart says.
//! Not here: running its pods.

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_e2e::kubernetes::Cluster;
use symbolon_e2e::process::{wait_for, workspace};

use super::super::manifests::{Manifests, SETS, chart, objects};
use super::{template, text, values};

const NAMESPACE: &str = "symbolon-system";
const MADE: Duration = Duration::from_secs(30);

/// A cluster with the kinds that the chart knows of, and the namespace of the release under the profile `restricted`.
async fn cluster() -> Cluster {
    let cluster = Cluster::start("chart").await;
    let profile = |mode: &str| format!("pod-security.kubernetes.io/{mode}");
    let labels = json!({profile("enforce"): "restricted", profile("warn"): "restricted"});
    let namespace = json!({"metadata": {"name": NAMESPACE, "labels": labels}});
    cluster.admin().create("/api/v1/namespaces", &namespace).await;
    cluster.service_account(NAMESPACE, "default").await;
    cluster.apply(&fs::read_to_string(workspace().join("tests/kubernetes/chart/crds.yaml")).unwrap()).await;
    wait_for("the kinds are served", MADE, async || {
        let groups = cluster.admin().get("/apis").await.to_string();
        groups.contains("cert-manager.io") && groups.contains("monitoring.coreos.com")
    })
    .await;
    cluster
}

fn render(set: &str, more: &[&str]) -> String {
    let values = values(set);
    let arguments: Vec<&str> = values.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let run = template(&arguments);
    assert!(run.status.success(), "{set}: {}", text(&run.stderr));
    text(&run.stdout)
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_server_takes_every_object_of_every_set() {
    let cluster = cluster().await;
    for set in SETS {
        let arguments = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
        let run = cluster.kubectl(&arguments, &render(set, &[])).await;
        let said = text(&run.stderr);
        assert!(run.status.success(), "{set}: {said}");
        assert!(!said.contains("Warning"), "{set}: {said}");
        let taken = text(&run.stdout).lines().count();
        assert_eq!(taken, Manifests::rendered(set).objects.len(), "{set}: {}", text(&run.stdout));
    }
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn accounts_can_do_their_work_and_nothing_beside_it() {
    let cluster = cluster().await;
    cluster.apply(&without(&render("default", &[]), "MutatingWebhookConfiguration")).await;
    let rights = [
        ("broker", "create", "tokenreviews.authentication.k8s.io", None, true),
        ("broker", "watch", "pods", Some("shop"), true),
        ("broker", "list", "nodes", None, true),
        ("broker", "get", "/openid/v1/jwks", None, true),
        ("broker", "get", "secrets", Some(NAMESPACE), false),
        ("broker", "get", "secrets/symbolon-broker-kept", Some(NAMESPACE), true),
        ("broker", "update", "secrets/symbolon-broker-kept", Some(NAMESPACE), true),
        ("broker", "update", "configmaps/symbolon-broker-ca", Some(NAMESPACE), true),
        ("broker", "update", "configmaps/symbolon-broker-policies", Some(NAMESPACE), false),
        ("broker", "get", "secrets/symbolon-injector-tls", Some(NAMESPACE), false),
        ("broker", "create", "pods", Some(NAMESPACE), false),
        ("broker", "update", "pods/status", Some("shop"), false),
        ("broker", "create", "serviceaccounts/token", Some(NAMESPACE), false),
        ("injector", "get", "secrets/symbolon-injector-tls", Some(NAMESPACE), true),
        ("injector", "update", "secrets/symbolon-injector-tls", Some(NAMESPACE), true),
        ("injector", "get", "secrets/symbolon-broker-kept", Some(NAMESPACE), false),
        ("injector", "list", "secrets", Some(NAMESPACE), false),
        ("injector", "get", "secrets/symbolon-injector-tls", Some("shop"), false),
        ("injector", "patch", "mutatingwebhookconfigurations/symbolon-injector", None, true),
        ("injector", "patch", "mutatingwebhookconfigurations/other", None, false),
        ("injector", "create", "mutatingwebhookconfigurations", None, false),
        ("injector", "get", "pods", Some("shop"), false),
        ("gateway", "get", "secrets", Some(NAMESPACE), false),
        ("gateway", "list", "pods", Some(NAMESPACE), false),
    ];
    for (account, verb, what, namespace, expected) in rights {
        let user = format!("system:serviceaccount:{NAMESPACE}:symbolon-{account}");
        let review = json!({"spec": {"user": user, "groups": groups(), "resourceAttributes": attributes(verb, what, namespace), "nonResourceAttributes": path(verb, what)}});
        let answer =
            cluster.admin().create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).await;
        assert_eq!(answer["status"]["allowed"], expected, "{account} {verb} {what} {namespace:?}");
    }
}

fn groups() -> Value {
    json!(["system:serviceaccounts", format!("system:serviceaccounts:{NAMESPACE}"), "system:authenticated"])
}

fn path(verb: &str, what: &str) -> Value {
    if what.starts_with('/') { json!({"path": what, "verb": verb}) } else { Value::Null }
}

/// `pods/status` is a part of pods, `secrets/NAME` one of them.
fn attributes(verb: &str, what: &str, namespace: Option<&str>) -> Value {
    if what.starts_with('/') {
        return Value::Null;
    }
    let (kind, rest) = what.split_once('/').unwrap_or((what, ""));
    let (kind, group) = match kind.split_once('.') {
        Some((kind, group)) => (kind, group),
        None if kind.starts_with("mutating") => (kind, "admissionregistration.k8s.io"),
        None => (kind, ""),
    };
    let part = ["status", "token"].contains(&rest);
    let (part, name) = if part { (rest, "") } else { ("", rest) };
    json!({"verb": verb, "group": group, "resource": kind, "subresource": part, "name": name, "namespace": namespace})
}

/// The same manifests but for one kind, as JSON.
fn without(manifests: &str, kind: &str) -> String {
    let kept = objects(manifests).into_iter().filter(|object| object["kind"] != kind);
    kept.map(|object| object.to_string()).collect::<Vec<_>>().join("\n---\n")
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn with_the_webhook_away_a_labelled_pod_is_refused_and_others_are_not() {
    let cluster = cluster().await;
    // Nobody answers behind the Service.
    cluster.apply(&render("default", &["--set", "tests.enabled=false"])).await;
    let bare = cluster.namespace("bare", &json!({})).await;
    let enabled = cluster.namespace("shop", &json!({"symbolon.dev/injection": "enabled"})).await;
    let labelled = Pod { label: Some("true"), ..Pod::new("labelled") };
    for (namespace, pod) in [(&bare, &labelled), (&enabled, &Pod::new("plain"))] {
        wait_for("the webhook is asked", MADE, async || {
            let said = create(&cluster, namespace, pod).await.unwrap_err();
            said.contains("inject.symbolon.dev")
        })
        .await;
    }
    create(&cluster, &bare, &Pod::new("plain")).await.unwrap();
    let declined = Pod { label: Some("false"), ..Pod::new("declined") };
    create(&cluster, &enabled, &declined).await.unwrap();
    create(&cluster, NAMESPACE, &Pod::new("own")).await.unwrap();
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_chosen_pod_that_nobody_injected_is_refused_with_the_reason() {
    let cluster = cluster().await;
    without_a_webhook(&cluster).await;
    let label = |value: &str| json!({"symbolon.dev/injection": value});
    let bare = cluster.namespace("bare", &json!({})).await;
    let [enabled, enforced, disabled] = [
        cluster.namespace("enabled", &label("enabled")).await,
        cluster.namespace("enforced", &label("enforced")).await,
        cluster.namespace("disabled", &label("disabled")).await,
    ];
    let plain = Pod::new("plain");
    let labelled = Pod { label: Some("true"), ..plain };
    let declined = Pod { label: Some("false"), ..plain };
    let injected = Pod { sidecar: Some(IMAGE), status: true, ..labelled };
    for (namespace, pod, expected) in [
        (&bare, &labelled, Err("should have the container symbolon-sidecar")),
        (&enabled, &plain, Err("should have the container symbolon-sidecar")),
        (&enforced, &declined, Err("should have the container symbolon-sidecar")),
        (&bare, &Pod { status: false, ..injected }, Err("should have the container symbolon-sidecar")),
        (&bare, &Pod { sidecar: Some("evil.example/sidecar:1"), ..injected }, Err("is not the injector's")),
        (&bare, &Pod { sidecar: Some("evil.example/sidecar:1"), ..plain }, Err("is not the injector's")),
        (&bare, &Pod { curious: true, ..injected }, Err("mounted by the sidecar alone")),
        (&bare, &plain, Ok(())),
        (&bare, &declined, Ok(())),
        (&enabled, &declined, Ok(())),
        (&disabled, &labelled, Ok(())),
        (&bare, &injected, Ok(())),
        (&enforced, &injected, Ok(())),
    ] {
        match (create(&cluster, namespace, pod).await, expected) {
            (Ok(()), Ok(())) => {}
            (Err(said), Err(expected)) => assert!(said.contains(expected), "{namespace} {pod:?}: {said}"),
            (found, expected) => panic!("{namespace} {pod:?}: {found:?} for {expected:?}"),
        }
    }
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn the_sidecar_of_a_running_pod_cannot_be_told_or_looked_into() {
    let cluster = cluster().await;
    without_a_webhook(&cluster).await;
    let namespace = cluster.namespace("bare", &json!({})).await;
    let pod = Pod { label: Some("true"), sidecar: Some(IMAGE), status: true, ..Pod::new("running") };
    let path = format!("/api/v1/namespaces/{namespace}/pods/running");
    cluster.admin().create(&format!("/api/v1/namespaces/{namespace}/pods"), &pod.object()).await;
    let kubectl = async |arguments: &str, input: &str| {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--namespace", &namespace]).collect();
        let run = cluster.kubectl(&arguments, input).await;
        if run.status.success() { Ok(()) } else { Err(text(&run.stderr)) }
    };
    let said = kubectl("annotate --overwrite pod running symbolon.dev/status=other", "").await.unwrap_err();
    assert!(said.contains("does not change while its pod lives"), "{said}");
    kubectl("annotate pod running example.com/other=1", "").await.unwrap();
    let other = json!({"spec": {"initContainers": [{"name": "symbolon-sidecar", "image": "evil.example/sidecar:1"}]}}).to_string();
    let said = kubectl(&format!("patch pod running --patch {other}"), "").await.unwrap_err();
    assert!(said.contains("keeps its image"), "{said}");
    // Without the label the pod is not chosen any more, and has its sidecar all the same.
    kubectl("label pod running symbolon.dev/inject-", "").await.unwrap();
    let mut object = cluster.admin().get(&path).await;
    object["spec"]["ephemeralContainers"] = json!([{
        "name": "debug", "image": "app.example/debug:1",
        "volumeMounts": [{"name": "symbolon-key", "mountPath": "/key"}],
    }]);
    let replace = format!("replace --raw {path}/ephemeralcontainers -f -");
    let said = kubectl(&replace, &object.to_string()).await.unwrap_err();
    assert!(said.contains("mounted by the sidecar alone"), "{said}");
    object["spec"]["ephemeralContainers"][0]["volumeMounts"] = json!([]);
    object["spec"]["ephemeralContainers"][0]["targetContainerName"] = json!("symbolon-sidecar");
    let said = kubectl(&replace, &object.to_string()).await.unwrap_err();
    assert!(said.contains("nobody looks into its processes"), "{said}");
    object["spec"]["ephemeralContainers"][0].as_object_mut().unwrap().remove("targetContainerName");
    kubectl(&replace, &object.to_string()).await.unwrap();
}

const IMAGE: &str = "ghcr.io/symbolon/sidecar:0.1.0";

/// Applies the chart but for the webhook, and waits until its policy is in force.
async fn without_a_webhook(cluster: &Cluster) {
    let manifests =
        without(&render("default", &["--set", "tests.enabled=false"]), "MutatingWebhookConfiguration");
    cluster.apply(&manifests).await;
    let namespace = cluster.namespace("probe", &json!({})).await;
    let labelled = Pod { label: Some("true"), ..Pod::new("probe") };
    wait_for("the policy is in force", MADE, async || create(cluster, &namespace, &labelled).await.is_err())
        .await;
}

/// Tries to create a pod; what the server said if it refuses.
async fn create(cluster: &Cluster, namespace: &str, pod: &Pod) -> Result<(), String> {
    let arguments = ["create", "--dry-run=server", "--namespace", namespace, "-f", "-"];
    let run = cluster.kubectl(&arguments, &pod.object().to_string()).await;
    if run.status.success() { Ok(()) } else { Err(text(&run.stderr)) }
}

/// A pod under `restricted`.
#[derive(Debug, Clone, Copy)]
struct Pod {
    name: &'static str,
    label: Option<&'static str>,
    /// The image of its sidecar.
    sidecar: Option<&'static str>,
    status: bool,
    /// Whether the app mounts the sidecar's key.
    curious: bool,
}

impl Pod {
    fn new(name: &'static str) -> Self {
        Self { name, label: None, sidecar: None, status: false, curious: false }
    }

    fn object(&self) -> Value {
        let context = json!({
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        });
        let mount = json!([{"name": "symbolon-key", "mountPath": "/run/symbolon/key"}]);
        let container = |name: &str, image: &str, mounts: bool| {
            let mounts = if mounts { mount.clone() } else { json!([]) };
            json!({"name": name, "image": image, "securityContext": context, "volumeMounts": mounts})
        };
        let sidecar = self.sidecar.map(|image| {
            let mut sidecar = container("symbolon-sidecar", image, true);
            sidecar["restartPolicy"] = json!("Always");
            sidecar
        });
        let labels = self.label.map_or(json!({}), |label| json!({"symbolon.dev/inject": label}));
        let annotations = if self.status { json!({"symbolon.dev/status": "injected"}) } else { json!({}) };
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "labels": labels, "annotations": annotations},
            "spec": {
                "containers": [container("app", "app.example/app:1", self.curious)],
                "initContainers": Vec::from_iter(sidecar),
                "volumes": [{"name": "symbolon-key", "emptyDir": {"medium": "Memory"}}],
            },
        })
    }
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn an_upgrade_keeps_what_injector_and_broker_have_written_and_an_end_the_sealing_key() {
    let cluster = cluster().await;
    let chart = chart().display().to_string();
    let helm = async |verb: &str, more: &[&str]| {
        let arguments = [&[verb, "symbolon", chart.as_str(), "--namespace", NAMESPACE][..], more].concat();
        let run = cluster.helm(&arguments).await;
        assert!(run.status.success(), "{}", text(&run.stderr));
        text(&run.stdout)
    };
    let notes = helm("install", &[]).await;
    for word in ["Outage budget", "2 min 30 s", "symbolon-broker-kept", "Keep a copy"] {
        assert!(notes.contains(word), "{notes}");
    }
    let secret = format!("/api/v1/namespaces/{NAMESPACE}/secrets/symbolon-injector-tls");
    let webhook = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/symbolon-injector";
    let mut written = cluster.admin().get(webhook).await;
    let bundle = STANDARD.encode(fs::read(cluster.ca_file()).unwrap());
    written["webhooks"][0]["clientConfig"]["caBundle"] = json!(bundle);
    cluster.admin().patch(webhook, &json!({"webhooks": written["webhooks"]})).await;
    cluster.admin().patch(&secret, &json!({"data": {"authorities.json": "e30="}})).await;
    let kept = format!("/api/v1/namespaces/{NAMESPACE}/secrets/symbolon-broker-kept");
    let told = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/symbolon-broker-ca");
    cluster.admin().patch(&kept, &json!({"data": {"sealing-key": "a2V5"}})).await;
    cluster.admin().patch(&told, &json!({"data": {"ca.crt": "told"}})).await;
    let set = ["--set", "webhook.timeoutSeconds=5,broker.persistence.enabled=true,injector.replicaCount=3"];
    helm("upgrade", &set).await;
    let after = cluster.admin().get(webhook).await;
    assert_eq!(after["webhooks"][0]["timeoutSeconds"], 5);
    assert_eq!(after["webhooks"][0]["clientConfig"]["caBundle"], json!(bundle));
    assert_eq!(cluster.admin().get(&secret).await["data"], json!({"authorities.json": "e30="}));
    assert_eq!(cluster.admin().get(&kept).await["data"], json!({"sealing-key": "a2V5"}));
    assert_eq!(cluster.admin().get(&told).await["data"], json!({"ca.crt": "told"}));
    let ended = cluster.helm(&["uninstall", "symbolon", "--namespace", NAMESPACE]).await;
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert!(cluster.admin().find(&told).await.is_none());
    assert_eq!(
        cluster.admin().get(&kept).await["data"],
        json!({"sealing-key": "a2V5"}),
        "the volume needs it"
    );
}
