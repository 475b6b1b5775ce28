//! Questions as the API server asks them, and as strangers do; and that the webhook and `render` do the same.
//! What a pod gets is tested with `inject`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_config::{Environment, load};

use super::*;
use crate::config::Config;
use crate::inject::Operation;
use crate::render::{document, render, split};

mod wire;

const NATIVE: Circumstances = Circumstances { selection: Selection::Labelled, native: true };

fn golden() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

fn settings() -> Settings {
    let loaded = load::<Config>(&golden().join("injector.yaml"), &Environment::empty()).unwrap();
    Settings::new(&loaded).unwrap()
}

fn question(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "operation": "CREATE",
            "dryRun": true,
            "object": pod,
        },
    })
}

fn answered(question: &Value) -> Result<Value, String> {
    let body = question.to_string();
    review::answer(body.as_bytes(), &settings(), NATIVE).map(|(review, _)| review["response"].clone())
}

/// The pod as the API server would have it after our answer.
fn admitted(pod: &Value) -> Value {
    let response = answered(&question(pod)).unwrap();
    assert_eq!(response["allowed"], true, "{response}");
    assert_eq!(response["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    let mut pod = pod.clone();
    if let Some(patch) = response["patch"].as_str() {
        assert_eq!(response["patchType"], "JSONPatch");
        let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        json_patch::patch(&mut pod, &patch).unwrap();
    }
    pod
}

fn read(text: &str) -> Value {
    split(text)[0].read().unwrap()
}

#[test]
fn webhook_and_command_make_the_same_pods_byte_for_byte() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut cases = 0;
    for entry in std::fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.to_str().unwrap().strip_suffix(".pod.yaml") else { continue };
        let manifest = std::fs::read_to_string(&path).unwrap();
        let by_webhook = admitted(&read(&manifest));
        let by_command = render(&manifest, &settings(), NATIVE).unwrap();
        assert_eq!(read(&by_command.text).to_string(), by_webhook.to_string(), "{name}");
        let expected = format!("{name}.expected.yaml");
        if update {
            std::fs::write(&expected, document(&by_webhook)).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap();
        assert_eq!(expected, document(&by_webhook), "{name}: UPDATE_GOLDEN=1 writes it anew");
        cases += 1;
    }
    assert_eq!(cases, 7);
}

#[test]
fn the_patch_is_json_patch() {
    let pod = read(&std::fs::read_to_string(golden().join("plain.pod.yaml")).unwrap());
    let response = answered(&question(&pod)).unwrap();
    let patch: Value =
        serde_json::from_slice(&STANDARD.decode(response["patch"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(
        patch[0],
        json!(Operation::Add { path: "/metadata/annotations".to_owned(), value: json!({}) })
    );
    assert!(patch.as_array().unwrap().iter().all(|operation| operation["op"] == "add"));
}

#[test]
fn what_is_no_question_of_ours_gets_a_clear_answer() {
    let good = question(&json!({ "spec": {} }));
    let changed = |pointer: &str, value: Value| {
        let mut question = good.clone();
        *question.pointer_mut(pointer).unwrap() = value;
        question
    };
    for (question, expected) in [
        (changed("/apiVersion", json!("admission.k8s.io/v1beta1")), "v1beta1"),
        (changed("/kind", json!("Pod")), "expected an AdmissionReview"),
        (changed("/request/uid", json!("")), "no `uid`"),
        (changed("/request/uid", json!(7)), "no `uid`"),
        (json!([]), "expected an AdmissionReview"),
        (json!({ "apiVersion": "x".repeat(10_000) }), "expected an AdmissionReview"),
    ] {
        let message = answered(&question).unwrap_err();
        assert!(message.contains(expected) && message.len() < 400, "{message}");
    }
    let refused = answered(&changed("/request/kind/kind", json!("Deployment"))).unwrap();
    assert_eq!((&refused["allowed"], &refused["status"]["code"]), (&json!(false), &json!(400)));
    for operation in ["DELETE", "UPDATE", "CONNECT"] {
        let allowed = answered(&changed("/request/operation", json!(operation))).unwrap();
        assert_eq!(allowed["allowed"], true, "{operation}");
        assert!(allowed.get("patch").is_none() && allowed["warnings"][0].is_string(), "{allowed}");
    }
}

#[test]
fn a_refusal_says_why_and_a_warning_goes_along() {
    let pod = json!({
        "metadata": { "labels": { "symbolon.dev/inject": "true" } },
        "spec": { "hostNetwork": true, "containers": [] },
    });
    let refused = answered(&question(&pod)).unwrap();
    assert_eq!(refused["status"]["code"], 403);
    assert!(refused["status"]["message"].as_str().unwrap().contains("`hostNetwork`"), "{refused}");
    let pod = json!({
        "metadata": { "labels": { "symbolon.dev/inject": "true" } },
        "spec": { "shareProcessNamespace": true, "containers": [] },
    });
    assert!(answered(&question(&pod)).unwrap()["warnings"][0].is_string());
}
