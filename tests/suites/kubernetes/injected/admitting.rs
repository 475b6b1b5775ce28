//! The webhook at a real API server: away, asked twice, with an authority that changes, and asked by others than API servers.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_e2e::certificates::TlsClient;
use symbolon_e2e::http::{Answer, Call, Connection, Place};
use symbolon_e2e::kubernetes::mutator::Mutator;
use symbolon_e2e::machine::resident_bytes;
use symbolon_e2e::process::wait_for;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::{Installed, LONG, SHORT, SOON, WEBHOOK, create, init_containers, unlabelled};

/// The certificate authorities that the API server believes our webhook by.
async fn bundle(installed: &Installed) -> String {
    let configuration = installed.cluster.admin().get(WEBHOOK).await;
    configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn with_the_webhook_away_labelled_pods_are_refused_until_it_is_back_and_others_never() {
    let mut installed = Installed::start(LONG).await;
    let (labelled, plain) = (Installed::pod("cart-1", "true"), unlabelled("plain", "true"));
    installed.injector.stop().await;
    let said = create(&installed.cluster, &installed.namespace, &labelled).await.unwrap_err();
    assert!(said.contains("pods.inject.symbolon.dev") && said.contains("connection refused"), "{said}");
    create(&installed.cluster, &installed.namespace, &plain).await.unwrap();
    installed.injector.restart().await;
    let mut pod = Value::Null;
    wait_for("labelled pods are admitted again", SOON, async || {
        match create(&installed.cluster, &installed.namespace, &labelled).await {
            Ok(created) => {
                pod = created;
                true
            }
            Err(_) => false,
        }
    })
    .await;
    assert_eq!(init_containers(&pod), ["symbolon-sidecar"]);
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_pod_that_went_through_the_webhook_twice_has_one_sidecar() {
    let installed = Installed::start(LONG).await;
    let (cluster, namespace) = (&installed.cluster, &installed.namespace);
    let first = create(cluster, namespace, &Installed::pod("cart-1", "true")).await.unwrap();
    // What was admitted once, created again as it is: by hand, or by a controller that copies pods.
    let mut again =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cart-2"}, "spec": first["spec"]});
    for part in ["labels", "annotations"] {
        again["metadata"][part] = first["metadata"][part].clone();
    }
    let second = create(cluster, namespace, &again).await.unwrap();
    assert_eq!(second["spec"], first["spec"]);
    assert_eq!(second["metadata"]["annotations"], first["metadata"]["annotations"]);
    assert_eq!(
        (installed.injector.admissions("injected").await, installed.injector.admissions("unchanged").await),
        (1, 1)
    );
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_pod_that_another_webhook_changes_after_ours_is_shown_to_us_again_and_stays_as_it_is() {
    let installed = Installed::start(LONG).await;
    let mutator = Mutator::start(&installed.authority).await;
    let bundle = STANDARD.encode(fs::read(installed.authority.ca_file()).unwrap());
    // Configurations are taken in the order of their names.
    let later = json!({
        "metadata": {"name": "zz-mutator"},
        "webhooks": [{
            "name": "pods.mutator.test", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"url": format!("https://{}/", mutator.address), "caBundle": bundle},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "objectSelector": {"matchExpressions": [{"key": "mutator.test/seen", "operator": "DoesNotExist"}]},
        }],
    });
    let (collection, _) = WEBHOOK.rsplit_once('/').unwrap();
    installed.cluster.admin().create(collection, &later).await;
    let mut pod = Value::Null;
    let mut count = 0;
    wait_for("the other webhook is asked", SOON, async || {
        count += 1;
        let labelled = Installed::pod(&format!("cart-{count}"), "true");
        pod = create(&installed.cluster, &installed.namespace, &labelled).await.unwrap();
        pod["metadata"]["labels"]["mutator.test/seen"] == "yes"
    })
    .await;
    assert_eq!(init_containers(&pod), ["symbolon-sidecar"]);
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let ours = volumes.iter().filter(|volume| volume["name"].as_str().unwrap().starts_with("symbolon-"));
    assert_eq!(ours.count(), 2, "{pod:#}");
    assert_eq!(installed.injector.admissions("injected").await, count);
    assert_eq!(installed.injector.admissions("unchanged").await, 1, "asked a second time about the last one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn no_creation_fails_while_authorities_change() {
    let installed = Installed::start(SHORT).await;
    let (mut bundles, mut failures, mut created) = (BTreeSet::new(), String::new(), 0_u32);
    let began = Instant::now();
    // Three authorities are in force one after the other.
    while bundles.len() < 5 || created < 100 {
        assert!(began.elapsed() < Duration::from_mins(2), "{} bundles, {created} pods", bundles.len());
        let pod = Installed::pod(&format!("cart-{created}"), "true");
        if let Err(said) = create(&installed.cluster, &installed.namespace, &pod).await {
            let _ = writeln!(failures, "{:?}: {said}", began.elapsed());
        }
        created += 1;
        bundles.insert(bundle(&installed).await);
    }
    eprintln!(
        "{created} pods created while {} bundles were in force, in {:?}",
        bundles.len(),
        began.elapsed()
    );
    assert_eq!(failures, "");
    assert!(installed.injector.admissions("injected").await >= u64::from(created));
}

/// A client that believes what the API server believes.
async fn client(installed: &Installed) -> TlsClient {
    let bundle = STANDARD.decode(bundle(installed).await).unwrap();
    TlsClient::trusting(&bundle, &["http/1.1"])
}

fn review(pod: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "dryRun": true,
        "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": pod,
    }})
}

/// Asks the webhook as an API server does.
async fn ask(installed: &Installed, review: &Value) -> Answer {
    let address = installed.injector.listen;
    let stream = client(installed).await.connect(address).await.unwrap();
    let mut connection = Connection::over(stream, &Place::Tcp(address), address.to_string()).await.unwrap();
    connection.send(Call::json("/pods", review)).await.unwrap()
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn what_no_api_server_should_ask_is_answered_with_the_reason() {
    let installed = Installed::start(LONG).await;
    let good = Installed::pod("cart-1", "true");
    let edited = |edit: fn(&mut Value)| {
        let mut pod = good.clone();
        edit(&mut pod);
        pod
    };
    let many = |pod: &mut Value| {
        let container = pod["spec"]["containers"][0].clone();
        let containers = (0..10_000).map(|place| {
            let mut container = container.clone();
            container["name"] = json!(format!("c{place}"));
            container
        });
        pod["spec"]["containers"] = containers.collect();
    };
    let injected = create(&installed.cluster, &installed.namespace, &good).await.unwrap();
    for (what, pod, allowed, says) in [
        ("as it should be", good.clone(), true, ""),
        ("injected already", injected, true, ""),
        (
            "the network of its node",
            edited(|pod| pod["spec"]["hostNetwork"] = json!(true)),
            false,
            "hostNetwork",
        ),
        (
            "an upstream that nobody configured",
            edited(|pod| pod["metadata"]["annotations"] = json!({"symbolon.dev/upstreams": "'; \n*"})),
            false,
            "upstream",
        ),
    ] {
        let answer = ask(&installed, &review(&pod)).await;
        let response = answer.json()["response"].clone();
        assert_eq!((answer.status, &response["allowed"]), (200, &json!(allowed)), "{what}: {response}");
        let said = response["status"]["message"].as_str().unwrap_or_default();
        assert!(said.contains(says) && !said.contains('\n'), "{what}: {said}");
    }
    let answer = ask(&installed, &review(&edited(many))).await;
    assert_eq!(answer.status, 400, "ten thousand containers");
    assert!(String::from_utf8_lossy(&answer.body).contains("more values"));
    let mut old = review(&good);
    old["apiVersion"] = json!("admission.k8s.io/v1beta1");
    let answer = ask(&installed, &old).await;
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("admissionReviewVersions"));
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_gigabyte_is_refused_before_it_is_taken() {
    let mut installed = Installed::start(LONG).await;
    let before = resident_bytes(installed.injector.process.pid());
    let mut stream = client(&installed).await.connect(installed.injector.listen).await.unwrap();
    let head = "POST /pods HTTP/1.1\r\nhost: injector\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let mut taken = 0;
    for _ in 0..1024 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
        taken += 1;
    }
    assert!(taken < 64, "{taken} MiB were taken");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    let grown = resident_bytes(installed.injector.process.pid()).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    // And it serves on.
    create(&installed.cluster, &installed.namespace, &Installed::pod("cart-1", "true")).await.unwrap();
    assert!(installed.injector.process.is_running());
}
