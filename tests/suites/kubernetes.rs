//! A real API server: what the tests may rely on, and what it was seen to do.
//! Not here: our programs beside it.

mod attesting;
mod enforcing;
mod faulty;
mod forged;
mod injected;
mod kept;
mod kubelet;
mod outages;
mod pins;
mod posture;

use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::decode;
use symbolon_e2e::kubernetes::objects::{Bound, plain_pod, running_container, uid, unique};
use symbolon_e2e::kubernetes::{Cluster, ISSUER};
use symbolon_e2e::machine::resident_bytes;
use symbolon_e2e::process::wait_for;
use tokio::time::Instant;

const BROKER: &str = "https://symbolon.test";

fn claims(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap()
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn the_server_is_the_release_that_was_built() {
    let cluster = Cluster::shared().await;
    let version = cluster.admin().get("/version").await;
    assert_eq!(version["gitVersion"], "v1.37.2", "{version}");
    assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("37")));
    let megabytes = |pid| resident_bytes(pid) / 1_000_000;
    eprintln!(
        "ready after {:?}; kube-apiserver {} MB, etcd {} MB",
        cluster.took(),
        megabytes(cluster.api_server()),
        megabytes(cluster.etcd())
    );
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_token_of_a_pod_says_which_pod_and_node_and_so_does_its_review() {
    let cluster = Cluster::shared().await;
    let node = cluster.node(&unique("node")).await;
    let node_name = node["metadata"]["name"].as_str().unwrap();
    let namespace = cluster.namespace("shop", &json!({})).await;
    let account = cluster.service_account(&namespace, "orders").await;
    let pod = cluster.pod(&namespace, "orders-1", "orders", node_name).await;
    let of = (namespace.as_str(), "orders");
    let token = cluster.token_request(of, &[BROKER], 600, Bound::Pod("orders-1", uid(&pod))).await;
    let claims = claims(&token);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!([BROKER])));
    assert_eq!(claims["sub"], format!("system:serviceaccount:{namespace}:orders"));
    let expected = json!({
        "namespace": namespace,
        "node": {"name": node_name, "uid": uid(&node)},
        "pod": {"name": "orders-1", "uid": uid(&pod)},
        "serviceaccount": {"name": "orders", "uid": uid(&account)},
    });
    assert_eq!(claims["kubernetes.io"], expected);
    let review = cluster.token_review(&token, &[BROKER]).await;
    assert_eq!(
        (&review["authenticated"], &review["audiences"]),
        (&json!(true), &json!([BROKER])),
        "{review}"
    );
    assert_eq!(review["user"]["username"], claims["sub"]);
    assert_eq!(review["user"]["uid"], uid(&account));
    let extra = |name: &str| review["user"]["extra"][format!("authentication.kubernetes.io/{name}")].clone();
    let id = format!("JTI={}", claims["jti"].as_str().unwrap());
    for (name, value) in [
        ("pod-name", "orders-1"),
        ("pod-uid", uid(&pod)),
        ("node-name", node_name),
        ("node-uid", uid(&node)),
        ("credential-id", &id),
    ] {
        assert_eq!(extra(name), json!([value]), "{name} of {review}");
    }
    let elsewhere = cluster.token_review(&token, &["https://other.test"]).await;
    assert_ne!(elsewhere["authenticated"], true, "{elsewhere}");
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_token_without_a_wish_is_for_the_server_itself() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("shop", &json!({})).await;
    let token = cluster.token_request((&namespace, "default"), &[], 600, Bound::Account).await;
    let claims = claims(&token);
    assert_eq!(claims["aud"], json!([ISSUER]));
    assert!(claims["kubernetes.io"].get("pod").is_none(), "{claims}");
    let review = cluster.token_review(&token, &[]).await;
    assert_eq!(
        (&review["authenticated"], &review["audiences"]),
        (&json!(true), &json!([ISSUER])),
        "{review}"
    );
    // It opens the API, as far as its account may; a token for others does not.
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let status = async |token: &str| cluster.bearer(token).call(Call::get(&path)).await.unwrap().status;
    assert_eq!(status(&token).await, 403);
    let of = (namespace.as_str(), "default");
    cluster
        .grant("pod-readers", &json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]), of)
        .await;
    wait_for("the grant counts", Duration::from_secs(20), async || status(&token).await == 200).await;
    let other = cluster.token_request(of, &[BROKER], 600, Bound::Account).await;
    assert_eq!(status(&other).await, 401);
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn the_keys_can_be_published_and_a_caller_may_do_what_its_rules_say() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("broker", &json!({})).await;
    let rules =
        json!([{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]);
    let caller = cluster.bearer(&cluster.caller(&namespace, "broker", &rules).await);
    let token = cluster.token_request((&namespace, "default"), &[BROKER], 600, Bound::Account).await;
    let review = json!({"spec": {"token": token, "audiences": [BROKER]}});
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    wait_for("the caller may review", Duration::from_secs(20), async || {
        let answer = caller.call(Call::json(path, &review)).await.unwrap();
        answer.status == 201 && answer.json()["status"]["authenticated"] == true
    })
    .await;
    let pods = Call::get(&format!("/api/v1/namespaces/{namespace}/pods"));
    assert_eq!(caller.call(pods).await.unwrap().status, 403);

    cluster.publish_keys().await;
    let nobody = cluster.bearer("");
    let keys = Call::get("/openid/v1/jwks");
    wait_for("anybody may read the keys", Duration::from_secs(20), async || {
        nobody.call(keys.clone()).await.unwrap().status == 200
    })
    .await;
    let header: Value = serde_json::from_slice(&decode(token.split('.').next().unwrap())).unwrap();
    let keys = nobody.get("/openid/v1/jwks").await;
    assert_eq!((&keys["keys"][0]["kid"], &header["alg"]), (&header["kid"], &json!("RS256")), "{keys}");
    let discovery = nobody.get("/.well-known/openid-configuration").await;
    assert_eq!(discovery["issuer"], ISSUER);
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_token_of_a_secret_ends_with_the_secret() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("shop", &json!({})).await;
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let secret = cluster.admin().create(&secrets, &json!({"metadata": {"name": "leash"}})).await;
    let of = (namespace.as_str(), "default");
    let token = cluster.token_request(of, &[BROKER], 600, Bound::Secret("leash", uid(&secret))).await;
    let claims = claims(&token);
    assert_eq!(claims["kubernetes.io"]["secret"], json!({"name": "leash", "uid": uid(&secret)}), "{claims}");
    assert!(claims["kubernetes.io"].get("pod").is_none(), "{claims}");
    // Not reviewed before, so no earlier yes is remembered.
    cluster.admin().delete(&format!("{secrets}/leash")).await;
    let review = cluster.token_review(&token, &[BROKER]).await;
    assert_ne!(review["authenticated"], true, "{review}");
}

/// Whoever needs a prompt no has to watch pods.
#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_deleted_pod_is_gone_at_once_and_the_review_of_its_token_says_yes_for_a_while() {
    let cluster = Cluster::shared().await;
    let node = unique("node");
    cluster.node(&node).await;
    let namespace = cluster.namespace("shop", &json!({})).await;
    let pod = cluster.pod(&namespace, "brief", "default", &node).await;
    let container = running_container("app", "app.test/app:1", "app.test/app@sha256:00");
    let running = cluster.pod_status(&namespace, "brief", "Running", &[container]).await;
    assert_eq!(running["status"]["containerStatuses"][0]["imageID"], "app.test/app@sha256:00", "{running}");
    let bound = Bound::Pod("brief", uid(&pod));
    let token = cluster.token_request((&namespace, "default"), &[BROKER], 600, bound).await;
    let says_yes = async || cluster.token_review(&token, &[BROKER]).await["authenticated"] == true;
    assert!(says_yes().await);
    cluster.delete_pod(&namespace, "brief").await;
    let deleted = Instant::now();
    let path = format!("/api/v1/namespaces/{namespace}/pods/brief");
    assert_eq!(cluster.admin().find(&path).await, None);
    let at_once = says_yes().await;
    wait_for("the review says no", Duration::from_secs(90), async || !says_yes().await).await;
    eprintln!(
        "just after the pod was deleted the review said {at_once}; it said no after {:?}",
        deleted.elapsed()
    );
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn two_clusters_with_one_issuer_do_not_take_each_others_tokens() {
    let (first, second) = (Cluster::shared().await, Cluster::start("second").await);
    assert_eq!(first.issuer(), second.issuer());
    let token = async |cluster: &Cluster| {
        let wish = cluster.token_request(("default", "twin"), &[BROKER], 600, Bound::Account);
        wish.await
    };
    for cluster in [first, &second] {
        cluster.service_account("default", "twin").await;
    }
    let (of_first, of_second) = (token(first).await, token(&second).await);
    assert_eq!(claims(&of_first)["sub"], claims(&of_second)["sub"]);
    for (cluster, token, expected) in [
        (first, &of_first, true),
        (first, &of_second, false),
        (&second, &of_first, false),
        (&second, &of_second, true),
    ] {
        let review = cluster.token_review(token, &[BROKER]).await;
        assert_eq!(review["authenticated"] == true, expected, "{review}");
    }
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_server_can_be_halted_ended_and_started_again() {
    let mut cluster = Cluster::start("outage").await;
    let namespace = cluster.namespace("kept", &json!({})).await;
    let token = cluster.token_request((&namespace, "default"), &[BROKER], 600, Bound::Account).await;
    let probe = async |cluster: &Cluster| {
        let call = cluster.admin().call(Call::get("/version"));
        tokio::time::timeout(Duration::from_secs(1), call).await
    };
    cluster.pause();
    assert!(probe(&cluster).await.is_err(), "it answers although it is halted");
    cluster.resume();
    assert_eq!(probe(&cluster).await.unwrap().unwrap().status, 200);
    cluster.kill();
    assert!(probe(&cluster).await.unwrap().is_err(), "it answers although it has ended");
    cluster.restart().await;
    eprintln!("ready again after {:?}", cluster.took());
    assert_eq!(cluster.token_review(&token, &[BROKER]).await["authenticated"], true);
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_restricted_namespace_takes_no_privileged_pod() {
    let cluster = Cluster::shared().await;
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace = cluster.namespace("restricted", &labels).await;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let mut pod = plain_pod("eager", "default", "nowhere");
    pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    let refused = cluster.admin().call(Call::json(&path, &pod)).await.unwrap();
    assert_eq!(refused.status, 403);
    assert!(
        refused.text("message").contains("violates PodSecurity \"restricted"),
        "{}",
        refused.text("message")
    );
    pod["spec"]["containers"][0]["securityContext"] = json!({
        "allowPrivilegeEscalation": false, "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    });
    cluster.admin().create(&path, &pod).await;
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn kubectl_tries_manifests_without_keeping_them_and_then_applies_them() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("applied", &json!({})).await;
    let manifest = |kind: &str| {
        format!(
            "apiVersion: v1\nkind: {kind}\nmetadata: {{ name: applied, namespace: {namespace} }}\ndata: {{ a: b }}\n"
        )
    };
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/applied");
    let dry = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
    let run = cluster.kubectl(&dry, &manifest("ConfigMap")).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(cluster.admin().find(&path).await, None);
    assert!(!cluster.kubectl(&dry, &manifest("NoSuchKind")).await.status.success());
    cluster.apply(&manifest("ConfigMap")).await;
    assert_eq!(cluster.admin().get(&path).await["data"]["a"], "b");
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn helm_installs_a_chart_and_takes_it_away() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("charted", &json!({})).await;
    let chart = tempfile::tempdir().unwrap();
    std::fs::create_dir(chart.path().join("templates")).unwrap();
    let files = [
        ("Chart.yaml", "apiVersion: v2\nname: tiny\nversion: 0.1.0\nkubeVersion: '>=1.33-0'\n"),
        (
            "templates/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: {{ .Release.Name }} }\ndata: { a: b }\n",
        ),
    ];
    for (name, text) in files {
        std::fs::write(chart.path().join(name), text).unwrap();
    }
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/tiny");
    let folder = chart.path().to_str().unwrap();
    for (arguments, is_there) in [(vec!["install", "tiny", folder], true), (vec!["uninstall", "tiny"], false)]
    {
        let run = cluster.helm(&[&arguments[..], &["--namespace", &namespace]].concat()).await;
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(cluster.admin().find(&path).await.is_some(), is_there, "{arguments:?}");
    }
}
