//! The policies as texts. That an API server accepts them and does the same as the webhook is for a test beside one.
//! Here: every value that reaches a pod is in them, quoted, and nothing else is.

use symbolon_config::{Environment, parse_str};

use super::*;
use crate::config::Config;

fn settings() -> Settings {
    let text = r#"
sidecar: { image: "registry.example.com/symbolon-sidecar:0.1.0" }
broker: { url: "https://broker.example.com" }
upstreams: { orders: { port: 8711, target: "https://orders.example.com", resource: "a\"b\\c" } }
default_upstreams: [orders]
"#;
    Settings::new(&parse_str::<Config>(text, "injector.yaml", &Environment::empty()).unwrap()).unwrap()
}

#[test]
fn each_policy_comes_with_its_binding() {
    let text = documents(&settings(), &[Part::Mutating, Part::Validating]);
    for kind in [
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ] {
        assert!(text.contains(&format!("kind: {kind}\n")), "{text}");
    }
    assert_eq!(text.matches("---\n").count(), 4);
    assert!(!text.contains(['\u{e000}', '\u{e001}']), "a place is not filled");
}

#[test]
fn values_are_quoted_and_places_are_filled() {
    let place = cel::place("x");
    for (value, expected) in [
        (json!("a\"b\n"), r#""a\"b\n""#.to_owned()),
        (json!(place), "variables.x".to_owned()),
        (json!(format!("a{place}b")), r#""a" + variables.x + "b""#.to_owned()),
        (json!({ "a": [1, true] }), r#"{"a": dyn([dyn(1), dyn(true)])}"#.to_owned()),
        (json!(""), "\"\"".to_owned()),
    ] {
        assert_eq!(cel::value(&value), expected);
    }
}
