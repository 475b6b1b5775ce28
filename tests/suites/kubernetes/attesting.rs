//! A real cluster's tokens as evidence: what buys a token, and every bad one, over the wire.
//! Not here: pods that end, keys that change (`pins`), and clusters in trouble (`outages`).

use std::fmt::Write as _;

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{TestIssuer, decode, encode};
use symbolon_e2e::kubernetes::objects::{Bound, running_container, uid, unique};
use symbolon_e2e::kubernetes::{Cluster, Plan};
use symbolon_e2e::machine::now;
use symbolon_e2e::programs::Broker;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(super) const ORDERS: &str = "https://orders.test";

/// What the broker's own account may do at a cluster.
pub(super) fn rules() -> Value {
    json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
        {"nonResourceURLs": ["/openid/v1/jwks", "/.well-known/openid-configuration"], "verbs": ["get"]},
    ])
}

/// A broker whose trust provider is a cluster.
pub(super) struct Attesting {
    pub(super) broker: Broker,
}

/// A pod of a cluster, with a node of its own.
pub(super) struct Pod<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// One provider's part of a configuration.
pub(super) async fn provider(name: &str, cluster: &Cluster, more: &str) -> String {
    let namespace = cluster.namespace("symbolon", &json!({})).await;
    let token = cluster.caller(&namespace, "broker", &rules()).await;
    let file = cluster.write(&unique("broker-token"), &token);
    format!(
        "\x20 - {{ name: {name}, kubernetes: {{ issuer: \"{issuer}\", api: {{ server: \"{server}\", ca_file: \"{ca}\", token_file: \"{token}\" }}{more} }},\n\
         \x20     workload: '\"{name}/ns/\" + attested.namespace + \"/sa/\" + attested.service_account' }}\n",
        issuer = cluster.issuer(),
        server = cluster.server(),
        ca = cluster.ca_file().display(),
        token = file.display(),
    )
}

const POLICIES: &str = "@id(\"pods-orders\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"orders\")\n\
    when { context.key_bound && principal has kubernetes && principal.assurance == \"live\" };\n\
    @id(\"no-debugging\") @reason(\"a debug container is attached\") forbid (principal, action, resource)\n\
    when { principal has kubernetes && principal.kubernetes.pod has posture && principal.kubernetes.pod.posture.ephemeral_containers };\n\
    @id(\"gateways-follow\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"symbolon-status\") when { principal has unix };\n";

impl Attesting {
    /// A broker with these providers, each as [`provider`] writes it.
    pub(super) async fn start(providers: &[String]) -> Self {
        let mut rest = "trust_providers:\n".to_owned();
        for provider in providers {
            let _ = write!(rest, "{provider}");
        }
        let client = TestIssuer::new("tester");
        let keys = client.jwks().to_string();
        let broker = Broker::start_clients(&[("tester", &keys)], &rest, POLICIES).await;
        Self { broker }
    }

    /// A broker that trusts the shared cluster, and knows its pods.
    pub(super) async fn shared() -> (Self, &'static Cluster) {
        let cluster = Cluster::shared().await;
        (Self::start(&[provider("prod", cluster, "").await]).await, cluster)
    }

    /// Asks for `orders` with this evidence and a fresh proof of this key.
    pub(super) async fn ask(&self, token: &str, key: &ProofKey) -> Answer {
        self.ask_with(token, Some(key), &[]).await
    }

    pub(super) async fn ask_with(
        &self,
        token: &str,
        key: Option<&ProofKey>,
        more: &[(&str, &str)],
    ) -> Answer {
        let usual = [
            ("grant_type", "client_credentials"),
            ("resource", ORDERS),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", token),
        ];
        let mut call = Call::form("/oauth2/token", &[&usual, more].concat());
        if let Some(key) = key {
            let target = format!("{}/oauth2/token", self.broker.url);
            let request =
                ProofRequest { method: "POST", target_uri: &target, access_token: None, nonce: None };
            call = call.header("dpop", &key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap());
        }
        call.send(self.broker.address).await.unwrap()
    }

    /// The same, again and again while the broker has not heard of the cluster yet.
    pub(super) async fn ask_until_heard(&self, token: &str, key: &ProofKey) -> Answer {
        let mut answer = self.ask(token, key).await;
        for _ in 0..200 {
            if answer.status != 503 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            answer = self.ask(token, key).await;
        }
        answer
    }

    /// Explains a refusal as operators see it.
    pub(super) async fn explain(&self, answer: &Answer) -> Value {
        let call = Call::get(&format!("/v1/decisions/{}", answer.text("decision_id")));
        call.send(self.broker.admin_socket().as_path()).await.unwrap().json()
    }
}

impl<'a> Pod<'a> {
    /// A pod that runs.
    pub(super) async fn start(cluster: &'a Cluster, name: &str) -> Self {
        let node = cluster.node(&unique("node")).await;
        let namespace = cluster.namespace("shop", &json!({})).await;
        cluster.service_account(&namespace, "cart").await;
        Self::start_in(cluster, &namespace, name, node["metadata"]["name"].as_str().unwrap()).await
    }

    pub(super) async fn start_in(cluster: &'a Cluster, namespace: &str, name: &str, node: &str) -> Self {
        let pod = cluster.pod(namespace, name, "cart", node).await;
        let digest = format!("app.test/app@sha256:{}", "a".repeat(64));
        cluster
            .pod_status(namespace, name, "Running", &[running_container("app", "app.test/app:1", &digest)])
            .await;
        Self { cluster, namespace: namespace.to_owned(), name: name.to_owned(), uid: uid(&pod).to_owned() }
    }

    pub(super) async fn token(&self, audience: &str) -> String {
        self.token_for(&[audience], 600).await
    }

    pub(super) async fn token_for(&self, audiences: &[&str], seconds: u64) -> String {
        let of = (self.namespace.as_str(), "cart");
        self.cluster.token_request(of, audiences, seconds, Bound::Pod(&self.name, &self.uid)).await
    }

    pub(super) fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }
}

pub(super) fn key() -> ProofKey {
    ProofKey::generate(Algorithm::Es256).unwrap()
}

/// Checks an OAuth error (RFC 6749 §5.2).
pub(super) fn assert_refused(what: &str, answer: &Answer, status: u16, code: &str) {
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, status, "{what}: {said}");
    assert!(answer.text("error_description").starts_with(code), "{what}: {said}");
    assert!(answer.json().get("access_token").is_none());
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_pods_token_buys_a_token_that_is_bound_to_its_key() {
    let (attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, "cart-1").await;
    let (token, key) = (pod.token(&attesting.broker.url).await, key());
    let answer = attesting.ask_until_heard(&token, &key).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let claims: Value =
        serde_json::from_slice(&decode(answer.text("access_token").split('.').nth(1).unwrap())).unwrap();
    assert_eq!(claims["sub"], format!("spiffe://test.example/prod/ns/{}/sa/cart", pod.namespace));
    assert_eq!(claims["cnf"]["jkt"], key.thumbprint().to_string());
    // The same bytes are evidence again, for the same key.
    assert_eq!(attesting.ask(&token, &key).await.status, 200);
    let recent = Call::get("/v1/decisions?limit=1")
        .send(attesting.broker.admin_socket().as_path())
        .await
        .unwrap()
        .json();
    let facts = &recent[0]["questions"][0]["principal"]["kubernetes"];
    assert_eq!(
        (&facts["cluster"], &facts["namespace"]),
        (&json!("prod"), &json!(pod.namespace)),
        "{recent:#}"
    );
    let posture = &facts["pod"]["posture"];
    assert_eq!(posture["image_digests"], json!([format!("sha256:{}", "a".repeat(64))]), "{facts:#}");
    assert_eq!(
        (&posture["all_images_known"], &posture["ephemeral_containers"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (&facts["pod"]["labels"]["app"], &posture["node_ready"]),
        (&json!("cart-1"), &json!(true)),
        "{facts:#}"
    );
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn tokens_that_are_not_a_pods_for_us_buy_nothing() {
    let (attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, "cart-1").await;
    let (ours, key) = (attesting.broker.url.as_str(), key());
    let good = pod.token(ours).await;
    assert_eq!(attesting.ask_until_heard(&good, &key).await.status, 200);
    let of = (pod.namespace.as_str(), "cart");
    let secret = json!({"metadata": {"name": "old"}, "type": "Opaque"});
    let secret =
        cluster.admin().create(&format!("/api/v1/namespaces/{}/secrets", pod.namespace), &secret).await;
    for (what, token, code) in [
        ("another audience", pod.token("https://other.test").await, "assertion_rejected"),
        ("several audiences", pod.token_for(&[ours, "https://other.test"], 600).await, "assertion_rejected"),
        ("the default audience", pod.token_for(&[], 600).await, "assertion_rejected"),
        ("bound to nothing", cluster.token_request(of, &[ours], 600, Bound::Account).await, "pod_unbound"),
        (
            "bound to a secret",
            cluster.token_request(of, &[ours], 600, Bound::Secret("old", uid(&secret))).await,
            "pod_unbound",
        ),
        ("good for a day", pod.token_for(&[ours], 86_400).await, "lifetime_too_long"),
    ] {
        assert_refused(what, &attesting.ask(&token, &self::key()).await, 401, code);
    }
    // Changed after it was signed.
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let mut altered: Value = serde_json::from_slice(&decode(claims)).unwrap();
    altered["kubernetes.io"]["namespace"] = json!("kube-system");
    let altered = format!("{head}.{}.{signature}", encode(altered.to_string().as_bytes()));
    assert_refused("altered", &attesting.ask(&altered, &key).await, 401, "bad_signature");
    // Signed by somebody else in the name of the cluster, with names that no object has.
    let forger = TestIssuer::new(cluster.issuer());
    let mut claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    for name in ["a\"b", "a\nb", "*", "a'b"] {
        claims["kubernetes.io"]["namespace"] = json!(name);
        let fake = forger.sign(&forger.header(), &claims);
        let answer = attesting.ask(&fake, &key).await;
        assert!([401, 503].contains(&answer.status), "{}", String::from_utf8_lossy(&answer.body));
    }
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_copied_token_is_worth_nothing_with_another_key_or_none() {
    let (attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, "cart-1").await;
    let (token, key) = (pod.token(&attesting.broker.url).await, key());
    assert_eq!(attesting.ask_until_heard(&token, &key).await.status, 200);
    let thief = attesting.ask(&token, &self::key()).await;
    assert_refused("another key", &thief, 401, "evidence_key_mismatch");
    let none = attesting.ask_with(&token, None, &[]).await;
    assert_refused("no key", &none, 401, "evidence_key_mismatch");
    // Also with a fresh token of the same pod, which nobody has presented yet.
    let fresh = pod.token(&attesting.broker.url).await;
    assert_refused("a fresh token", &attesting.ask(&fresh, &self::key()).await, 401, "evidence_key_mismatch");
    assert_eq!(attesting.ask(&fresh, &key).await.status, 200, "its own key is as good as before");
    let document = attesting.explain(&thief).await;
    assert_eq!(document["workload"], format!("spiffe://test.example/prod/ns/{}/sa/cart", pod.namespace));
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_second_cluster_of_the_same_issuer_that_nobody_configured_buys_nothing() {
    let (one, other) = (Cluster::shared().await, Plan::new("other").start().await);
    assert_eq!(one.issuer(), other.issuer(), "as clusters that one tool makes");
    let attesting = Attesting::start(&[provider("prod", one, "").await]).await;
    let (here, there) = (Pod::start(one, "cart-1").await, Pod::start(&other, "cart-1").await);
    let known = attesting.ask_until_heard(&here.token(&attesting.broker.url).await, &key()).await;
    assert_eq!(known.status, 200, "{}", String::from_utf8_lossy(&known.body));
    let answer = attesting.ask(&there.token(&attesting.broker.url).await, &key()).await;
    let said = answer.text("error_description");
    let refused = ["unknown_kid", "jwks_unavailable"].iter().any(|code| said.starts_with(code));
    assert!(refused && answer.json().get("access_token").is_none(), "{said}");
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn configured_clusters_of_one_issuer_are_told_apart_by_their_keys() {
    let (one, other) = (Cluster::shared().await, Plan::new("other").start().await);
    let providers = [provider("prod", one, "").await, provider("test", &other, "").await];
    let attesting = Attesting::start(&providers).await;
    let ours = attesting.broker.url.as_str();
    let (here, there) = (Pod::start(one, "cart-1").await, Pod::start(&other, "cart-1").await);
    for (pod, cluster) in [(&here, "prod"), (&there, "test")] {
        let (token, key) = (pod.token(ours).await, key());
        let answer = attesting.ask_until_heard(&token, &key).await;
        assert_eq!(answer.status, 200, "{cluster}: {}", String::from_utf8_lossy(&answer.body));
        let claims: Value =
            serde_json::from_slice(&decode(answer.text("access_token").split('.').nth(1).unwrap())).unwrap();
        let subject = claims["sub"].as_str().unwrap();
        assert!(subject.starts_with(&format!("spiffe://test.example/{cluster}/")), "{claims}");
        assert_eq!(attesting.ask_with(&token, Some(&key), &[("trust_provider", cluster)]).await.status, 200);
    }
    // A caller cannot choose whose token it is.
    let token = there.token(ours).await;
    let answer = attesting.ask_with(&token, Some(&key()), &[("trust_provider", "prod")]).await;
    let said = answer.text("error_description");
    let refused = ["unknown_kid", "jwks_unavailable"].iter().any(|code| said.starts_with(code));
    assert!(refused && answer.json().get("access_token").is_none(), "{said}");
}
