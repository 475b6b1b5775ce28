//! Tokens that the cluster's own key signed, as whoever stole it would: the signature is good, and what they say is not.
//! Not here: tokens that an API server gave out (`attesting`).

use std::fs;

use josekit::jws::{JwsHeader, RS256};
use serde_json::{Value, json};
use symbolon_e2e::issuer::decode;
use symbolon_e2e::kubernetes::Cluster;
use symbolon_e2e::machine::now;

use super::attesting::{Attesting, Pod, assert_refused, key};

/// A token of the cluster's key, with the header of a real one.
fn sign(cluster: &Cluster, real: &str, claims: &Value) -> String {
    let header: Value = serde_json::from_slice(&decode(real.split('.').next().unwrap())).unwrap();
    let header = JwsHeader::from_map(header.as_object().unwrap().clone()).unwrap();
    let pem = fs::read(cluster.private_key_file()).unwrap();
    let signer = RS256.signer_from_pem(pem).unwrap();
    josekit::jws::serialize_compact(claims.to_string().as_bytes(), &header, &signer).unwrap()
}

#[tokio::test]
#[ignore = "a real API server: scripts/test kubernetes"]
async fn a_good_signature_over_what_is_not_so_buys_nothing() {
    let (attesting, cluster) = Attesting::shared().await;
    let pod = Pod::start(cluster, "cart-1").await;
    let (real, own) = (pod.token(&attesting.broker.url).await, key());
    assert_eq!(attesting.ask_until_heard(&real, &own).await.status, 200);
    let good: Value = serde_json::from_slice(&decode(real.split('.').nth(1).unwrap())).unwrap();
    let answer = attesting.ask(&sign(cluster, &real, &good), &own).await;
    assert_eq!(
        answer.status,
        200,
        "what is so counts, so that the rest fails for what it says: {}",
        String::from_utf8_lossy(&answer.body)
    );

    let said = |path: &str, value: Value| {
        let mut claims = good.clone();
        *claims.pointer_mut(path).unwrap() = value;
        claims
    };
    let named = |namespace: &str, account: &str| {
        let mut claims = said("/kubernetes.io/namespace", json!(namespace));
        claims["kubernetes.io"]["serviceaccount"]["name"] = json!(account);
        claims["sub"] = json!(format!("system:serviceaccount:{namespace}:{account}"));
        claims
    };
    let mut old = said("/exp", json!(now() - 60));
    (old["iat"], old["nbf"]) = (json!(now() - 660), json!(now() - 660));
    let mut cases = vec![
        ("expired", old, "expired"),
        ("another subject", said("/sub", json!("system:serviceaccount:kube-system:default")), "pod_unbound"),
        ("no pod", said("/kubernetes.io/pod", Value::Null), "pod_unbound"),
        (
            "a pod that never was",
            said("/kubernetes.io/pod/uid", json!("00000000-0000-4000-8000-000000000000")),
            "pod_gone",
        ),
        ("another pod's name", said("/kubernetes.io/pod/name", json!("cart-2")), "pod_gone"),
        ("another node", said("/kubernetes.io/node/name", json!("elsewhere")), "pod_gone"),
        ("another account of the namespace", named(&pod.namespace, "default"), "pod_gone"),
        (
            "another uid of the account",
            said("/kubernetes.io/serviceaccount/uid", json!("00000000-0000-4000-8000-000000000000")),
            "review_rejected",
        ),
    ];
    for name in ["a\"b", "a\nb", "*", "a'b", "a/b", "..", "A", &"a".repeat(254)] {
        // No token of anybody has a subject with a line end.
        let subject = if name.contains('\n') { "assertion_rejected" } else { "pod_unbound" };
        cases.push(("a name that no object has", named(name, "cart"), subject));
        cases.push(("a name that no object has", named(&pod.namespace, name), subject));
        cases.push((
            "a name that no object has",
            said("/kubernetes.io/pod/name", json!(name)),
            "pod_unbound",
        ));
    }
    for (what, claims, code) in cases {
        let answer = attesting.ask(&sign(cluster, &real, &claims), &own).await;
        assert_refused(&format!("{what}: {claims}"), &answer, 401, code);
    }
    // Again, from what is remembered: the same answers, and no question to the cluster decides otherwise.
    let gone = said("/kubernetes.io/pod/uid", json!("00000000-0000-4000-8000-000000000000"));
    assert_refused("again", &attesting.ask(&sign(cluster, &real, &gone), &own).await, 401, "pod_gone");
    assert_eq!(attesting.ask(&real, &own).await.status, 200, "its owner loses nothing");
}
