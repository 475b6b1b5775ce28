//! What the stand-in for a kubelet plays, with pods of ordinary programs.
//! Not here: our sidecar in a pod.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use symbolon_e2e::http::Call;
use symbolon_e2e::kubernetes::kubelet::{Kubelet, image_id};
use symbolon_e2e::kubernetes::objects::{name, uid, unique};
use symbolon_e2e::kubernetes::{Cluster, Plan};
use symbolon_e2e::machine::free_address;
use symbolon_e2e::process::wait_for;

use super::{BROKER, claims};

const SHELL: &str = "tools.test/shell:1";
const WEB: &str = "tools.test/web:1";
const SOON: Duration = Duration::from_secs(30);

/// Two sidecars that note their end around one that serves, and an app that waits for its sign.
fn pod(port: u16) -> Value {
    let noted = |name: &str| {
        let script = format!("trap 'echo {name} >>/scratch/ends; exit 0' TERM; while :; do sleep 0.02; done");
        json!({"name": name, "image": SHELL, "restartPolicy": "Always", "args": ["-c", script], "volumeMounts": [{"name": "work", "mountPath": "/scratch"}]})
    };
    let app = "set -e; test \"$GREETING\" = 'hello from talker'; if touch /etc/app/x; then exit 7; fi; if touch /x; then exit 8; fi; test -s /etc/info/annotations
        until test -e /scratch/go; do sleep 0.02; done; cat /var/run/secrets/tokens/broker >/scratch/token";
    json!({
        "metadata": {"name": "talker", "annotations": {"app.test/mood": "good"}},
        "spec": {
            "restartPolicy": "Never",
            "volumes": [
                {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "broker", "audience": BROKER, "expirationSeconds": 600}}]}},
                {"name": "info", "downwardAPI": {"items": [{"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}}]}},
                {"name": "config", "configMap": {"name": "talker"}},
                {"name": "work", "emptyDir": {"medium": "Memory"}},
            ],
            "initContainers": [
                {"name": "prepare", "image": SHELL, "args": ["-c", "cp /etc/app/greeting /scratch/"], "volumeMounts": [
                    {"name": "work", "mountPath": "/scratch"}, {"name": "config", "mountPath": "/etc/app", "readOnly": true}]},
                noted("early"),
                {"name": "web", "image": WEB, "restartPolicy": "Always", "env": [{"name": "PORT", "value": port.to_string()}],
                    "args": ["-m", "http.server", "--bind", "127.0.0.1", "--directory", "/scratch", "$(PORT)"],
                    "startupProbe": {"httpGet": {"path": "/greeting", "port": port}, "periodSeconds": 1, "failureThreshold": 30},
                    "volumeMounts": [{"name": "work", "mountPath": "/scratch"}]},
                noted("late"),
            ],
            "containers": [{"name": "app", "image": SHELL, "command": ["sh", "-c", app],
                "securityContext": {"readOnlyRootFilesystem": true},
                "env": [{"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "GREETING", "value": "hello from $(WHO)"}],
                "volumeMounts": [
                    {"name": "work", "mountPath": "/scratch"}, {"name": "config", "mountPath": "/etc/app", "readOnly": true},
                    {"name": "info", "mountPath": "/etc/info"}, {"name": "token", "mountPath": "/var/run/secrets/tokens", "readOnly": true}]}],
        },
    })
}

fn kubelet<'a>(cluster: &'a Cluster, node: &str) -> Kubelet<'a> {
    Kubelet::new(cluster, node).image(SHELL, Path::new("/bin/sh")).image(WEB, Path::new("/usr/bin/python3"))
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_pod_with_sidecars_runs_is_mended_and_ends_in_order() {
    let cluster = Cluster::shared().await;
    let (node, address) = (unique("node"), free_address());
    cluster.node(&node).await;
    let namespace = cluster.namespace("played", &json!({})).await;
    let of = |kind: &str| format!("/api/v1/namespaces/{namespace}/{kind}");
    let config = json!({"metadata": {"name": "talker"}, "data": {"greeting": "hello"}});
    cluster.admin().create(&of("configmaps"), &config).await;
    cluster.admin().create(&of("pods"), &pod(address.port())).await;
    cluster.schedule(&namespace, "talker", &node).await;
    let mut talker = kubelet(cluster, &node).take(&namespace, "talker").await;
    talker.start().await;
    let status = async || cluster.admin().get(&of("pods/talker")).await["status"].clone();
    let running = status().await;
    assert_eq!(running["phase"], "Running", "{running}");
    assert_eq!(running["containerStatuses"][0]["imageID"], image_id(SHELL));
    assert_eq!(running["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0, "{running}");

    talker.process("web").signal(Signal::KILL);
    talker.process("web").ended(SOON).await;
    talker
        .until("the sidecar serves again", SOON, async |_| {
            Call::get("/greeting").send(address).await.is_ok_and(|answer| answer.body == "hello")
        })
        .await;
    assert_eq!(status().await["initContainerStatuses"][2]["restartCount"], 1);

    let link = || fs::read_link(talker.volume("token").join("..data")).unwrap();
    let before = (link(), fs::read_to_string(talker.volume("token").join("broker")).unwrap());
    cluster
        .admin()
        .patch(&of("pods/talker"), &json!({"metadata": {"annotations": {"app.test/mood": "better"}}}))
        .await;
    talker.refresh().await;
    let after = fs::read_to_string(talker.volume("token").join("broker")).unwrap();
    assert!(before.0 != fs::read_link(talker.volume("token").join("..data")).unwrap() && before.1 != after);
    let annotations = fs::read_to_string(talker.volume("info").join("annotations")).unwrap();
    assert!(annotations.contains("app.test/mood=\"better\""), "{annotations}");

    fs::write(talker.volume("work").join("go"), "").unwrap();
    assert_eq!(talker.finished(SOON).await, "Succeeded");
    assert_eq!(fs::read_to_string(talker.volume("work").join("token")).unwrap(), after);
    assert_eq!(fs::read_to_string(talker.volume("work").join("ends")).unwrap(), "late\nearly\n");
    let claims = claims(&after);
    let object = cluster.admin().get(&of("pods/talker")).await;
    assert_eq!(claims["kubernetes.io"]["pod"], json!({"name": "talker", "uid": uid(&object)}));
    talker.delete().await;
    assert_eq!(cluster.admin().find(&of("pods/talker")).await, None);
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_node_gets_tokens_for_its_own_pods_and_the_audiences_that_they_ask_for() {
    let cluster = Cluster::shared().await;
    let (node, other) = (unique("node"), unique("node"));
    cluster.node(&node).await;
    cluster.node(&other).await;
    let namespace = cluster.namespace("guarded", &json!({})).await;
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let mut talker = pod(1);
    talker["spec"]["nodeName"] = json!(node);
    let talker = cluster.admin().create(&pods, &talker).await;
    let ask = async |node: &str, audience: &str| {
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "talker", "uid": uid(&talker)});
        let wish = json!({"spec": {"audiences": [audience], "boundObjectRef": bound}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default/token");
        cluster.admin().acting_as_node(node).call(Call::json(&path, &wish)).await.unwrap().status
    };
    wait_for("its node may", SOON, async || ask(&node, BROKER).await == 201).await;
    assert_eq!(ask(&node, "https://other.test").await, 403, "an audience that no volume of the pod has");
    assert_eq!(ask(&other, BROKER).await, 403, "a node that the pod is not on");
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_job_is_done_when_its_pod_has_ended_although_a_sidecar_would_go_on() {
    let cluster = Plan::new("jobs").controllers().start().await;
    let node = unique("node");
    cluster.node(&node).await;
    let namespace = cluster.namespace("jobs", &json!({})).await;
    let sidecar =
        json!({"name": "idle", "image": SHELL, "restartPolicy": "Always", "args": ["-c", "sleep 1000"]});
    let app = json!({"name": "app", "image": SHELL, "args": ["-c", "exit 0"]});
    let template = json!({"spec": {
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "initContainers": [sidecar], "containers": [app],
    }});
    let jobs = format!("/apis/batch/v1/namespaces/{namespace}/jobs");
    cluster
        .admin()
        .create(&jobs, &json!({"metadata": {"name": "once"}, "spec": {"template": template}}))
        .await;
    let mut pods = Vec::new();
    wait_for("the controllers have made a pod", SOON, async || {
        let list = cluster.admin().get(&format!("/api/v1/namespaces/{namespace}/pods")).await;
        pods = list["items"].as_array().unwrap().clone();
        !pods.is_empty()
    })
    .await;
    cluster.schedule(&namespace, name(&pods[0]), &node).await;
    let mut pod = kubelet(&cluster, &node).take(&namespace, name(&pods[0])).await;
    pod.start().await;
    assert_eq!(pod.finished(SOON).await, "Succeeded");
    wait_for("the job is done", SOON, async || {
        cluster.admin().get(&format!("{jobs}/once")).await["status"]["succeeded"] == 1
    })
    .await;
}
