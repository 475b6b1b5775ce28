//! Our programs around a real API server, as the chart sets them up: what a labelled pod becomes, and what its calls are worth.
//! Not here: the chart's objects alone (`deploy`), and what a patch looks like (beside the injector).

mod admitting;
mod calling;
mod lasting;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use symbolon_e2e::api::Api;
use symbolon_e2e::certificates::{Authority, Volume};
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::kubernetes::kubelet::Kubelet;
use symbolon_e2e::kubernetes::objects::{Bound, unique};
use symbolon_e2e::kubernetes::{Cluster, Plan};
use symbolon_e2e::machine::free_address;
use symbolon_e2e::process::{Process, binary, wait_for};
use symbolon_e2e::programs::{Broker, Gateway};
use tempfile::TempDir;

use crate::deploy::manifests::Manifests;

const SYSTEM: &str = "symbolon-system";
const SIDECAR: &str = "ghcr.io/symbolon/sidecar:0.1.0";
const SHELL: &str = "tools.test/shell:1";
const ORDERS: &str = "https://orders.test";
const SOON: Duration = Duration::from_secs(30);
const WEBHOOK: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/symbolon-injector";

/// A cluster with the chart's objects, and the programs that its pods would run. Pods run one after the other: they share
/// the ports of this machine.
struct Installed {
    cluster: Cluster,
    injector: Injector,
    broker: Broker,
    gateway: Gateway,
    api: Api,
    authority: Authority,
    /// The namespace of the workloads, under the profile `restricted`.
    namespace: String,
    node: String,
    /// Where an app calls the API.
    door: SocketAddr,
    _volumes: [Volume; 2],
}

/// The webhook as a process.
struct Injector {
    process: Process,
    listen: SocketAddr,
    admin: SocketAddr,
    folder: TempDir,
}

/// How long what the injector signs lives.
struct Lives {
    authority: &'static str,
    certificate: &'static str,
}

const LONG: Lives = Lives { authority: "90d", certificate: "1d" };
/// The next authority is made after ten seconds.
const SHORT: Lives = Lives { authority: "15s", certificate: "5s" };

impl Installed {
    async fn start(lives: Lives) -> Self {
        let cluster = Plan::new("injected").controllers().start().await;
        let (authority, api) = (Authority::new(), Api::start().await);
        let volumes = [Volume::new(&authority.pair()), Volume::new(&authority.pair())];
        cluster.admin().create("/api/v1/namespaces", &json!({"metadata": {"name": SYSTEM}})).await;
        let (listen, door) = (free_address(), free_address());
        apply_chart(&cluster, listen).await;
        let namespace = cluster.namespace("shop", &restricted()).await;
        cluster.service_account(&namespace, "cart").await;
        let node = unique("node");
        cluster.node(&node).await;
        let broker = broker(&cluster, &volumes[0], &namespace).await;
        let gateway = gateway(&broker, &authority, &volumes[1], &api).await;
        let pods = pods_config((&broker, &gateway, &authority), door);
        let injector = Injector::start(&cluster, listen, &pods, &lives).await;
        Self { cluster, injector, broker, gateway, api, authority, namespace, node, door, _volumes: volumes }
    }

    /// What runs the pods of the node.
    fn kubelet(&self) -> Kubelet<'_> {
        Kubelet::new(&self.cluster, &self.node)
            .image(SIDECAR, &binary("symbolon-sidecar"))
            .image(SHELL, Path::new("/bin/sh"))
    }

    fn pods(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.namespace)
    }

    /// What the gateway says of the calls that it let pass.
    fn admitted(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.gateway.folder.path().join("audit.jsonl")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line.to_string().contains("request.admitted")).collect()
    }

    /// The shell's part of an app: one call of the API through its sidecar, to the standard output.
    fn call(&self) -> String {
        format!(
            "python3 -c \"import sys, urllib.request as u, urllib.error as e\ntry: print(u.urlopen('http://{}/orders/1', timeout=5).read().decode())\nexcept e.HTTPError as no: print(no.code, no.read().decode(), file=sys.stderr); exit(1)\"",
            self.door
        )
    }

    /// A pod that asks for a sidecar and runs this script, under `restricted`.
    fn pod(name: &str, script: &str) -> Value {
        let mut pod = unlabelled(name, script);
        pod["metadata"]["labels"] = json!({"symbolon.dev/inject": "true"});
        pod
    }
}

/// A pod that asks for nothing.
fn unlabelled(name: &str, script: &str) -> Value {
    let context = json!({
        "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "serviceAccountName": "cart", "restartPolicy": "Never", "automountServiceAccountToken": false,
            "volumes": [{"name": "work", "emptyDir": {}}],
            "containers": [{
                "name": "app", "image": SHELL, "args": ["-c", script], "securityContext": context,
                "volumeMounts": [{"name": "work", "mountPath": "/work"}],
            }],
        },
    })
}

fn restricted() -> Value {
    json!({"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"})
}

/// The chart's accounts, rights, Secret, policies and webhook; the webhook by a URL, as there is no Service without nodes.
async fn apply_chart(cluster: &Cluster, webhook: SocketAddr) {
    let chart = Manifests::rendered("default");
    for kind in ["ServiceAccount", "Secret", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"] {
        for object in chart.of_kind(kind) {
            cluster.apply(&object.to_string()).await;
        }
    }
    for object in chart.of_kind("MutatingWebhookConfiguration") {
        let mut object = object.clone();
        for webhook_of in object["webhooks"].as_array_mut().unwrap() {
            let path = webhook_of["clientConfig"]["service"]["path"].as_str().unwrap().to_owned();
            webhook_of["clientConfig"] = json!({"url": format!("https://{webhook}{path}")});
        }
        cluster.apply(&object.to_string()).await;
    }
    for kind in ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] {
        for object in chart.of_kind(kind) {
            cluster.apply(&object.to_string()).await;
        }
    }
}

/// The token of an account of the chart, in a file.
async fn account(cluster: &Cluster, name: &str) -> String {
    let token = cluster.token_request((SYSTEM, name), &[], 3600, Bound::Account).await;
    cluster.write(&format!("{name}.token"), &token).display().to_string()
}

/// A broker with the chart's trust provider and account, by TLS.
async fn broker(cluster: &Cluster, volume: &Volume, namespace: &str) -> Broker {
    let token = account(cluster, "symbolon-broker").await;
    let rest = format!(
        "trust_providers:\n\
         \x20 - {{ name: local, unix: {{}}, workload: '\"local/uid/\" + string(attested.uid)' }}\n\
         \x20 - name: cluster\n\
         \x20   kubernetes: {{ issuer: \"{issuer}\", keys: api, live: required, api: {{ server: \"{server}\", ca_file: \"{ca}\", token_file: \"{token}\" }} }}\n\
         \x20   workload: '\"k8s/ns/\" + attested.namespace + \"/sa/\" + attested.service_account'\n",
        issuer = cluster.issuer(),
        server = cluster.server(),
        ca = cluster.ca_file().display(),
    );
    let policy = format!(
        "@id(\"carts-orders\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"orders\")\n\
         when {{ context.key_bound && principal has kubernetes && principal.assurance == \"live\" && principal.kubernetes.namespace == \"{namespace}\" && principal.kubernetes.service_account == \"cart\" }};\n\
         @id(\"gateways-follow\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"symbolon-status\") when {{ principal has unix }};\n"
    );
    let client = TestIssuer::new("tester").jwks().to_string();
    Broker::start_tls(volume, &[("tester", &client)], &rest, &policy).await
}

/// A gateway before the API, which follows what the broker takes back.
async fn gateway(broker: &Broker, authority: &Authority, volume: &Volume, api: &Api) -> Gateway {
    let config = format!(
        "tls: {tls}\nkeys: {{ directory: {{folder}}/keys, ca_file: {ca} }}\n\
         issuers: [{{ name: broker, issuer: \"{issuer}\", dev: true, audiences: [\"{ORDERS}\"], revocations: {{ evidence: {{ unix: {{}} }}, socket: {socket}, ca_file: {ca} }} }}]\n\
         routes: [{{ name: orders, match: {{ path: /orders/** }}, resource: \"{ORDERS}\", upstream: {{ url: \"http://{api}\" }}, stages: [{{ verify: {{ issuers: [broker], scopes: [\"orders:read\"] }} }}] }}]\n",
        tls = volume.section(),
        ca = authority.ca_file().display(),
        issuer = broker.url,
        socket = broker.socket().display(),
        api = api.address,
    );
    let gateway = Gateway::start(&config, &[]).await;
    gateway.ready().await;
    gateway
}

/// What the injector puts in pods: one upstream, the API behind the gateway.
fn pods_config((broker, gateway, authority): (&Broker, &Gateway, &Authority), door: SocketAddr) -> String {
    format!(
        "sidecar: {{ image: \"{SIDECAR}\", health: \"0.0.0.0:{health}\" }}\n\
         broker: {{ url: \"{url}\", ca_file: \"{ca}\" }}\n\
         upstreams: {{ orders: {{ port: {port}, target: \"https://{gateway}\", resource: \"{ORDERS}\", private_ca: true, required: true }} }}\n\
         default_upstreams: [orders]\n",
        health = free_address().port(),
        url = broker.url,
        ca = authority.ca_file().display(),
        port = door.port(),
        gateway = gateway.address,
    )
}

impl Injector {
    /// Starts it with the chart's account, and waits until the API server believes its certificate.
    async fn start(cluster: &Cluster, listen: SocketAddr, pods: &str, lives: &Lives) -> Self {
        let (folder, admin) = (tempfile::tempdir().unwrap(), free_address());
        let config = format!(
            "{pods}webhook:\n\
             \x20 listen: \"{listen}\"\n\
             \x20 admin: \"{admin}\"\n\
             \x20 api: {{ server: \"{server}\", ca_file: \"{ca}\", token_file: \"{token}\" }}\n\
             \x20 tls: {{ self: {{ names: [\"127.0.0.1\"], authority_lifetime: {authority}, certificate_lifetime: {certificate}, settle: 1s, interval: 1s }} }}\n",
            server = cluster.server(),
            ca = cluster.ca_file().display(),
            token = account(cluster, "symbolon-injector").await,
            authority = lives.authority,
            certificate = lives.certificate,
        );
        fs::write(folder.path().join("injector.yaml"), config).unwrap();
        let process = Process::program("symbolon-injector", "webhook", &folder.path().join("injector.yaml"));
        let mut injector = Self { process, listen, admin, folder };
        injector.ready().await;
        injector
    }

    async fn ready(&mut self) {
        wait_for("the injector is ready", SOON, async || {
            assert!(self.process.is_running(), "{}", self.process.log());
            Call::get("/readyz").send(self.admin).await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }

    /// Starts it anew after it has ended.
    async fn restart(&mut self) {
        self.process =
            Process::program("symbolon-injector", "webhook", &self.folder.path().join("injector.yaml"));
        self.ready().await;
    }

    async fn stop(&mut self) {
        assert_eq!(self.process.stop(Signal::TERM).await, Some(0), "{}", self.process.log());
    }

    /// How often a question ended so.
    async fn admissions(&self, outcome: &str) -> u64 {
        let metrics = Call::get("/metrics").send(self.admin).await.unwrap();
        let text = String::from_utf8(metrics.body.to_vec()).unwrap();
        let line = format!("symbolon_injector_admissions_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }
}

/// Creates a pod as `kubectl create` does; what came of it, or what was said.
async fn create(cluster: &Cluster, namespace: &str, pod: &Value) -> Result<Value, String> {
    let run = cluster.kubectl(&["create", "-n", namespace, "-o", "json", "-f", "-"], &pod.to_string()).await;
    if run.status.success() {
        return Ok(serde_json::from_slice(&run.stdout).unwrap());
    }
    Err(String::from_utf8_lossy(&run.stderr).into_owned())
}

fn init_containers(pod: &Value) -> Vec<&str> {
    let all = pod["spec"]["initContainers"].as_array().into_iter().flatten();
    all.map(|container| container["name"].as_str().unwrap()).collect()
}
