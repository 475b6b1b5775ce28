//! What pods get, and which are refused.
//! The renderers have tests of their own, over the same pods.

use serde_json::json;
use symbolon_config::{Environment, parse_str};

use super::*;
use crate::config::Config;

mod again;
mod hostile;

const CONFIG_FILE: &str = r#"
sidecar: { image: "registry.example.com/symbolon-sidecar:0.1.0", images: ["registry.example.com/symbolon-sidecar:debug"] }
broker: { url: "https://broker.example.com" }
upstreams:
  orders: { port: 8711, target: "https://orders.example.com", resource: "https://orders.internal", scope: "orders:read" }
  billing: { port: 8712, target: "https://billing.example.com", resource: "https://billing.internal", required: true }
default_upstreams: [orders]
"#;

fn settings() -> Settings {
    Settings::new(&parse_str::<Config>(CONFIG_FILE, "injector.yaml", &Environment::empty()).unwrap()).unwrap()
}

const NATIVE: Circumstances = Circumstances { selection: Selection::Labelled, native: true };
const ORDINARY: Circumstances = Circumstances { selection: Selection::Labelled, native: false };

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "shop", "labels": { "symbolon.dev/inject": "true" } },
        "spec": {
            "containers": [{ "name": "app", "image": "shop:1" }, { "name": "logs", "image": "logs:1" }],
            "initContainers": [{ "name": "migrate", "image": "shop:1", "env": [{ "name": "A", "value": "b" }] }],
        },
    })
}

fn annotated(key: &str, value: &str) -> Value {
    let mut pod = pod();
    pod["metadata"]["annotations"] = json!({ key: value });
    pod
}

fn patched(mut pod: Value, circumstances: Circumstances) -> Value {
    match inject(&pod, &settings(), circumstances) {
        Outcome::Patch { operations, .. } => apply(&mut pod, &operations).unwrap(),
        other => panic!("{other:?}"),
    }
    pod
}

fn refused(pod: &Value) -> String {
    match inject(pod, &settings(), NATIVE) {
        Outcome::Refused(message) => message,
        other => panic!("{other:?}"),
    }
}

fn variables(container: &Value) -> Vec<&str> {
    let env = container["env"].as_array();
    env.into_iter().flatten().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn a_native_sidecar_comes_first_and_everybody_is_told() {
    let pod = patched(pod(), NATIVE);
    let init = pod["spec"]["initContainers"].as_array().unwrap();
    assert_eq!([&init[0]["name"], &init[1]["name"]], ["symbolon-sidecar", "migrate"]);
    assert_eq!(init[0]["restartPolicy"], "Always");
    assert_eq!(variables(&init[1]), ["A", "SYMBOLON_ORDERS_URL"]);
    assert_eq!(pod["spec"]["containers"][1]["env"][0]["value"], "http://127.0.0.1:8711");
    let typed: k8s_openapi::api::core::v1::Pod = serde_json::from_value(pod.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), pod, "a field that Kubernetes does not know");
}

#[test]
fn an_ordinary_sidecar_comes_last_and_serves_no_init_container() {
    let pod = patched(pod(), ORDINARY);
    assert_eq!(pod["spec"]["containers"][2]["name"], "symbolon-sidecar");
    assert_eq!(pod["spec"]["containers"][2].get("restartPolicy"), None);
    assert_eq!(variables(&pod["spec"]["initContainers"][0]), ["A"]);
    assert_eq!(variables(&pod["spec"]["containers"][0]), ["SYMBOLON_ORDERS_URL"]);
}

#[test]
fn the_container_is_what_restricted_asks_for_and_only_it_has_token_and_key() {
    let pod = patched(pod(), NATIVE);
    let context = &pod["spec"]["initContainers"][0]["securityContext"];
    assert_eq!(context["runAsNonRoot"], true);
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }));
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    for container in pod["spec"]["containers"].as_array().unwrap() {
        assert_eq!(container.get("volumeMounts"), None);
    }
    let token = &pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token["audience"], "https://broker.example.com");
    assert_eq!(pod["spec"]["volumes"][1]["emptyDir"]["medium"], "Memory");
    let probes = &pod["spec"]["initContainers"][0];
    assert_eq!(probes["startupProbe"]["failureThreshold"], 120);
    assert_eq!(probes.get("readinessProbe"), None);
    assert_eq!(probes["resources"]["limits"], json!({ "memory": "64Mi" }));
}

#[test]
fn the_sidecars_configuration_names_only_what_was_chosen() {
    let pod = patched(annotated("symbolon.dev/upstreams", " billing; "), NATIVE);
    let config: Value =
        serde_json::from_str(pod["metadata"]["annotations"][CONFIG].as_str().unwrap()).unwrap();
    assert_eq!(config["upstreams"].as_array().unwrap().len(), 1);
    assert_eq!(config["upstreams"][0]["listen"]["tcp"], "127.0.0.1:8712");
    assert_eq!(config["upstreams"][0]["required"], true);
    assert_eq!(config["evidence"]["token_file"]["path"], "/run/symbolon/identity/token");
    assert_eq!(variables(&pod["spec"]["containers"][0]), ["SYMBOLON_BILLING_URL"]);
}

#[test]
fn a_pod_chooses_upstreams_containers_and_amounts() {
    let mut pod = pod();
    pod["metadata"]["annotations"] = json!({
        "symbolon.dev/upstreams": "orders,billing",
        "symbolon.dev/skip-containers": "logs;migrate",
        "symbolon.dev/log-level": "debug",
        "symbolon.dev/cpu-request": "1000m",
        "symbolon.dev/memory-request": "32Mi",
        "symbolon.dev/memory-limit": "1024Mi",
        "symbolon.dev/image": "registry.example.com/symbolon-sidecar:debug",
        "other.example.com/note": "kept",
    });
    let pod = patched(pod, NATIVE);
    let sidecar = &pod["spec"]["initContainers"][0];
    assert_eq!(sidecar["image"], "registry.example.com/symbolon-sidecar:debug");
    assert_eq!(sidecar["resources"]["requests"], json!({ "cpu": "1", "memory": "32Mi" }));
    assert_eq!(sidecar["resources"]["limits"], json!({ "memory": "1Gi" }));
    assert_eq!(variables(&pod["spec"]["containers"][0]), ["SYMBOLON_BILLING_URL", "SYMBOLON_ORDERS_URL"]);
    assert!(variables(&pod["spec"]["containers"][1]).is_empty());
    assert!(pod["metadata"]["annotations"][CONFIG].as_str().unwrap().contains(r#""level":"debug""#));
    assert_eq!(pod["metadata"]["annotations"]["other.example.com/note"], "kept");
}

#[test]
fn who_is_injected_follows_from_label_and_namespace() {
    use Selection::{Enabled, Enforced, Labelled};
    let labelled = |label: Option<&str>, selection| {
        let mut pod = pod();
        pod["metadata"]["labels"] = label.map_or(json!({}), |label| json!({ LABEL: label }));
        inject(&pod, &settings(), Circumstances { selection, native: true })
    };
    for (label, selection) in
        [(Some("true"), Labelled), (None, Enabled), (None, Enforced), (Some("true"), Enforced)]
    {
        assert!(matches!(labelled(label, selection), Outcome::Patch { .. }), "{label:?} {selection:?}");
    }
    for (label, selection) in [(None, Labelled), (Some("false"), Labelled), (Some("false"), Enabled)] {
        assert!(matches!(labelled(label, selection), Outcome::Unchanged(_)), "{label:?} {selection:?}");
    }
    for (label, selection) in [(Some("false"), Enforced), (Some("yes"), Labelled), (Some(""), Enabled)] {
        assert!(matches!(labelled(label, selection), Outcome::Refused(_)), "{label:?} {selection:?}");
    }
}

#[test]
fn the_image_of_a_static_pod_is_left_alone() {
    let pod = annotated("kubernetes.io/config.mirror", "x");
    assert!(matches!(inject(&pod, &settings(), NATIVE), Outcome::Unchanged(_)));
}

#[test]
fn other_identities_shared_processes_and_users_are_warned_about() {
    let mut pod = pod();
    pod["spec"]["containers"][0]["env"] = json!([{ "name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/x" }]);
    pod["spec"]["shareProcessNamespace"] = json!(true);
    pod["spec"]["securityContext"] = json!({ "runAsUser": 8710 });
    pod["spec"]["restartPolicy"] = json!("Never");
    let Outcome::Patch { warnings, .. } = inject(&pod, &settings(), ORDINARY) else { panic!() };
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.len() < 256));
}
