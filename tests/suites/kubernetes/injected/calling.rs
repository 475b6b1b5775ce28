//! A labelled pod's life: admitted, run as it was admitted, its calls answered; and one that asked for nothing.

use serde_json::{Value, json};
use symbolon_e2e::kubernetes::objects::name;

use super::{Installed, LONG, SOON, create, init_containers, unlabelled};
use symbolon_e2e::process::wait_for;

/// What an app wrote down.
fn written(work: &std::path::Path) -> String {
    std::fs::read_to_string(work.join("out")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_labelled_pod_calls_the_api_with_its_identity_and_no_secret() {
    let installed = Installed::start(LONG).await;
    let script = format!("set -e; {} >/work/out 2>&1", installed.call());
    let pod = create(&installed.cluster, &installed.namespace, &Installed::pod("cart-1", &script)).await;
    let pod = pod.unwrap();
    assert_eq!(init_containers(&pod), ["symbolon-sidecar"], "{pod:#}");
    let status = pod["metadata"]["annotations"]["symbolon.dev/status"].as_str().unwrap();
    assert!(status.starts_with("injected@"), "{status}");
    assert_eq!(pod["spec"]["containers"].as_array().unwrap().len(), 1);

    installed.cluster.schedule(&installed.namespace, "cart-1", &installed.node).await;
    let kubelet = installed.kubelet();
    let mut running = kubelet.take(&installed.namespace, "cart-1").await;
    running.start().await;
    let phase = running.finished(SOON).await;
    assert_eq!(phase, "Succeeded", "{}{}", written(&running.volume("work")), installed.gateway.process.log());
    let seen: Value = serde_json::from_str(&written(&running.volume("work"))).unwrap();

    let expected = format!("spiffe://test.example/k8s/ns/{}/sa/cart", installed.namespace);
    assert_eq!(seen["headers"]["x-workload-id"], json!([expected]), "what the API was told: {seen}");
    assert!(seen["headers"].get("authorization").is_none(), "{seen}");
    let admitted = installed.admitted();
    assert!(
        !admitted.is_empty() && admitted.iter().all(|line| line.to_string().contains(&expected)),
        "{admitted:#?}"
    );
    assert_eq!(installed.api.requests(), 1);
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn pods_that_ask_for_nothing_are_as_they_would_be_without_us() {
    let installed = Installed::start(LONG).await;
    let (cluster, namespace) = (&installed.cluster, &installed.namespace);
    let disabled = cluster.namespace("disabled", &json!({"symbolon.dev/injection": "disabled"})).await;
    cluster.service_account(&disabled, "cart").await;
    let ours = create(cluster, namespace, &unlabelled("plain", "true")).await.unwrap();
    let theirs = create(cluster, &disabled, &unlabelled("plain", "true")).await.unwrap();
    assert_eq!(ours["spec"], theirs["spec"]);
    for part in ["labels", "annotations"] {
        assert_eq!(ours["metadata"][part], theirs["metadata"][part]);
    }
    let mut declined = unlabelled("declined", "true");
    declined["metadata"]["labels"] = json!({"symbolon.dev/inject": "false"});
    let declined = create(cluster, namespace, &declined).await.unwrap();
    assert_eq!(declined["spec"], theirs["spec"]);
    let asked =
        installed.injector.admissions("injected").await + installed.injector.admissions("unchanged").await;
    assert_eq!(asked, 0, "nobody even asked us");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_job_completes_with_its_sidecar() {
    let installed = Installed::start(LONG).await;
    let (cluster, namespace) = (&installed.cluster, &installed.namespace);
    let mut template = Installed::pod("unused", &format!("set -e; {} >/work/out 2>&1", installed.call()));
    template["metadata"].as_object_mut().unwrap().remove("name");
    let job = json!({
        "metadata": {"name": "report"},
        "spec": {"backoffLimit": 0, "template": {"metadata": template["metadata"], "spec": template["spec"]}},
    });
    let jobs = format!("/apis/batch/v1/namespaces/{namespace}/jobs");
    cluster.admin().create(&jobs, &job).await;
    let mut pod = Value::Null;
    wait_for("the job has its pod", SOON, async || {
        let list = cluster.admin().get(&format!("{}?labelSelector=job-name=report", installed.pods())).await;
        pod = list["items"][0].clone();
        pod.is_object()
    })
    .await;
    assert_eq!(init_containers(&pod), ["symbolon-sidecar"], "{pod:#}");
    cluster.schedule(namespace, name(&pod), &installed.node).await;
    let kubelet = installed.kubelet();
    let mut running = kubelet.take(namespace, name(&pod)).await;
    running.start().await;
    let phase = running.finished(SOON).await;
    assert_eq!(phase, "Succeeded", "{}{}", written(&running.volume("work")), installed.gateway.process.log());
    wait_for("the job is complete", SOON, async || {
        let job = cluster.admin().get(&format!("{jobs}/report")).await;
        let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "Complete" && one["status"] == "True")
    })
    .await;
    assert_eq!(installed.api.requests(), 1);
}
