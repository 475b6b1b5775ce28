//! Annotations that try to be more than a value, and pods that no sidecar can serve.
//! What comes over the wire before a pod is read is tested with the webhook.

use super::*;

const HOSTILE: [&str; 12] = [
    "\"",
    "'",
    "orders\"}",
    "orders\n",
    "orders\nbroker: {url: https://evil}",
    "$(VAR)",
    "${env:HOME}",
    "{\"a\":1}",
    "[orders]",
    "orders billing",
    "\u{0}",
    "ordеrs",
];

#[test]
fn no_annotation_carries_anything_but_a_known_value() {
    for key in INPUTS {
        for value in HOSTILE {
            let message = refused(&annotated(key, value));
            assert!(message.contains(key), "{key} {value:?}: {message}");
            assert!(!message.contains('\n') && !message.contains('\0'), "{message:?}");
        }
        let long = refused(&annotated(key, &"9".repeat(256 * 1024)));
        assert!(long.len() < 400, "{} bytes", long.len());
    }
}

#[test]
fn images_come_from_the_list() {
    for image in
        ["evil:1", "registry.example.com/symbolon-sidecar", "registry.example.com/symbolon-sidecar:debug "]
    {
        assert!(refused(&annotated("symbolon.dev/image", image)).contains("not among the images"), "{image}");
    }
}

#[test]
fn an_unknown_annotation_is_refused_with_the_nearest_known() {
    for (key, near) in [
        ("symbolon.dev/upstream", "symbolon.dev/upstreams"),
        ("symbolon.dev/skip-container", "symbolon.dev/skip-containers"),
        ("symbolon.dev/loglevel", "symbolon.dev/log-level"),
    ] {
        let message = refused(&annotated(key, "x"));
        assert!(message.contains(&format!("did you mean `{near}`")), "{key}: {message}");
    }
    assert!(!refused(&annotated("symbolon.dev/zzz", "x")).contains("did you mean"));
    assert!(refused(&annotated("symbolon.dev/upstreams", "order")).contains("did you mean `orders`"));
}

#[test]
fn lists_are_of_containers_that_exist() {
    assert!(refused(&annotated("symbolon.dev/containers", "app,ap")).contains("no container \"ap\""));
    assert!(refused(&annotated("symbolon.dev/containers", CONTAINER)).contains("no container"));
    let mut both = annotated("symbolon.dev/containers", "app");
    both["metadata"]["annotations"]["symbolon.dev/skip-containers"] = json!("logs");
    assert!(refused(&both).contains("not both"));
    assert!(refused(&annotated("symbolon.dev/upstreams", ";,")).contains("names no upstream"));
    assert!(refused(&annotated("symbolon.dev/memory-request", "65Mi")).contains("more memory"));
}

#[test]
fn pods_that_cannot_be_served_are_refused_with_a_reason() {
    let token = json!({ "serviceAccountToken": { "path": "t", "audience": "https://broker.example.com" } });
    let cases: [(Value, &str); 9] = [
        (json!({ "hostNetwork": true }), "`hostNetwork`"),
        (json!({ "os": { "name": "windows" } }), "Windows"),
        (json!({ "nodeSelector": { "kubernetes.io/os": "windows" } }), "Windows"),
        (
            json!({ "volumes": [{ "name": "t", "projected": { "sources": [token] } }] }),
            "only the sidecar may have one",
        ),
        (json!({ "volumes": [{ "name": "symbolon-key", "emptyDir": {} }] }), "the injector's"),
        (
            json!({ "containers": [{ "name": "a", "volumeMounts": [{ "name": "symbolon-identity", "mountPath": "/x" }] }] }),
            "the sidecar's alone",
        ),
        (
            json!({ "containers": [{ "name": "a", "ports": [{ "containerPort": 8711 }] }] }),
            "listens on port 8711",
        ),
        (
            json!({ "containers": [{ "name": "a", "ports": [{ "containerPort": 8719 }] }] }),
            "listens on port 8719",
        ),
        (
            json!({ "containers": [{ "name": "a", "env": [{ "name": "SYMBOLON_ORDERS_URL", "value": "http://evil" }] }] }),
            "sets `SYMBOLON_ORDERS_URL` itself",
        ),
    ];
    for (change, expected) in cases {
        let mut pod = pod();
        for (key, value) in change.as_object().unwrap() {
            pod["spec"][key] = value.clone();
        }
        assert!(refused(&pod).contains(expected), "{expected}: {}", refused(&pod));
    }
}

#[test]
fn ten_thousand_containers_are_too_many() {
    let mut pod = pod();
    pod["spec"]["containers"] = (0..10_000).map(|n| json!({ "name": format!("c{n}") })).collect();
    assert!(refused(&pod).contains("10001 containers"), "{}", refused(&pod));
}

#[test]
fn what_is_no_pod_is_refused() {
    for (pod, expected) in [
        (json!(null), "no `spec`"),
        (json!({ "spec": [] }), "no `spec`"),
        (json!({ "spec": { "containers": {} } }), "not a list"),
        (json!({ "spec": { "containers": [{}] } }), "has no name"),
        (json!({ "spec": {}, "metadata": 1 }), "not an object"),
        (json!({ "spec": {}, "metadata": { "annotations": { "a": 1 } } }), "not a text"),
    ] {
        assert!(refused(&pod).contains(expected), "{expected}: {}", refused(&pod));
    }
}
