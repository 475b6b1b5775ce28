//! The admission policies that the injector prints, at a real API server: who is given a sidecar, and what they refuse.
//! Not here: the webhook, and the chart's own policy (`deploy`).

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::kubernetes::objects::unique;
use symbolon_e2e::kubernetes::{Cluster, Plan};
use symbolon_e2e::process::{binary, wait_for, workspace};

fn printed() -> String {
    let config = workspace().join("sidecar/injector/tests/golden/injector.yaml");
    let run = Command::new(binary("symbolon-injector"))
        .arg("admission-policy")
        .arg("--config")
        .arg(config)
        .output();
    let run = run.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn asking(name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"symbolon.dev/inject": "true"}, "annotations": annotations},
        "spec": {"automountServiceAccountToken": false, "containers": [{"name": "app", "image": "app.test/app:1"}]},
    })
}

fn has_sidecar(pod: &Value) -> bool {
    let first = &pod["spec"]["initContainers"][0]["name"];
    first == "symbolon-sidecar"
}

/// Creates a pod as `kubectl create` does; what came of it, or what was said.
async fn create(cluster: &Cluster, namespace: &str, pod: &Value, more: &[&str]) -> Result<Value, String> {
    let arguments = [&["create", "-n", namespace, "-o", "json", "-f", "-"], more].concat();
    let run = cluster.kubectl(&arguments, &pod.to_string()).await;
    if run.status.success() {
        return Ok(serde_json::from_slice(&run.stdout).unwrap());
    }
    Err(String::from_utf8_lossy(&run.stderr).into_owned())
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn neither_an_annotation_nor_a_label_taken_off_gets_around_the_printed_policies() {
    let cluster = Plan::new("policies").start().await;
    cluster.apply(&printed()).await;
    let namespace = cluster.namespace("shop", &json!({})).await;
    wait_for("the policies are in force", Duration::from_mins(1), async || {
        let probe = asking(&unique("probe"), &json!({}));
        create(&cluster, &namespace, &probe, &["--dry-run=server"]).await.is_ok_and(|pod| has_sidecar(&pod))
    })
    .await;
    // Only nodes show static pods; who says that of its own pod is treated as everybody is.
    let posing = asking("posing", &json!({"kubernetes.io/config.mirror": "x"}));
    let posing = create(&cluster, &namespace, &posing, &[]).await;
    assert!(posing.as_ref().is_err() || posing.as_ref().is_ok_and(has_sidecar), "{posing:?}");

    let pod = create(&cluster, &namespace, &asking("cart", &json!({})), &[]).await.unwrap();
    assert!(has_sidecar(&pod), "{pod:#}");
    let path = format!("/api/v1/namespaces/{namespace}/pods/cart");
    let taken_off = json!({"metadata": {"labels": {"symbolon.dev/inject": null}}});
    let mut pod = cluster.admin().patch(&path, &taken_off).await;
    let debugger =
        |mounts: Value| json!([{"name": "debugger", "image": "app.test/sh:1", "volumeMounts": mounts}]);
    let attach = async |pod: &Value| {
        let raw = format!("{path}/ephemeralcontainers");
        cluster.kubectl(&["replace", "--raw", &raw, "-f", "-"], &pod.to_string()).await
    };
    pod["spec"]["ephemeralContainers"] = debugger(json!([{"name": "symbolon-key", "mountPath": "/key"}]));
    let refused = attach(&pod).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("mounted by the sidecar alone"), "{said}");
    pod["spec"]["ephemeralContainers"] = debugger(json!([]));
    let taken = attach(&pod).await;
    assert!(
        taken.status.success(),
        "a debugger without our volumes: {}",
        String::from_utf8_lossy(&taken.stderr)
    );
}
