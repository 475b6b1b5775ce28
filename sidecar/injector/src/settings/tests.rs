//! Configurations that fit together and ones that do not.
//! Spelling mistakes are the concern of `symbolon_config`.

use symbolon_config::{Environment, parse_str};

use super::*;

const GOOD: &str = r#"
sidecar: { image: "registry.example.com/symbolon-sidecar:0.1.0" }
broker: { url: "https://broker.example.com" }
upstreams:
  orders: { port: 8711, target: "https://orders.example.com", resource: "https://orders.internal", scope: "orders:read" }
"#;

fn settings(text: &str) -> Result<Settings, ConfigErrors> {
    Settings::new(&parse_str::<Config>(text, "injector.yaml", &Environment::empty())?)
}

#[test]
fn a_small_configuration_is_complete() {
    let settings = settings(GOOD).unwrap();
    assert_eq!(settings.template.audience.as_str(), "https://broker.example.com");
    assert_eq!(settings.template.expiration_seconds, 3600);
    let orders = settings.template.upstreams.values().next().unwrap();
    assert_eq!(orders.variable, "SYMBOLON_ORDERS_URL");
    assert!(settings.status.starts_with("injected@0.1.0 sha256:"), "{}", settings.status);
}

#[test]
fn the_digest_is_of_what_reaches_pods() {
    let [plain, logged, other] =
        [GOOD.to_owned(), format!("{GOOD}log: {{ level: debug }}\n"), GOOD.replace("8711", "8712")]
            .map(|text| settings(&text).unwrap().status);
    assert_eq!(plain, logged);
    assert_ne!(plain, other);
}

#[test]
fn contradictions_are_named() {
    for (from, to, expected) in [
        ("symbolon-sidecar:0.1.0\"", "a b\"", "an image name"),
        ("0.1.0\" }", "0.1.0\", user: 0 }", "does not run as root"),
        ("0.1.0\" }", "0.1.0\", images: [\"$(X)\"] }", "an image name"),
        ("0.1.0\" }", "0.1.0\", health: \"127.0.0.1:8719\" }", "the kubelet has to reach it"),
        ("0.1.0\" }", "0.1.0\", cpu_request: lots }", "an amount such as `5m`"),
        ("0.1.0\" }", "0.1.0\", memory_request: 1Gi }", "more than `memory_limit`"),
        ("port: 8711", "port: 80", "port 80 is not free"),
        ("port: 8711", "port: 8719", "port 8719 is not free"),
        ("https://orders.example.com", "http://orders.example.com", "could be read on the way"),
        ("https://orders.example.com", "https://orders.example.com/v1", "scheme, host and port only"),
        ("port: 8711", "private_ca: true, port: 8711", "`private_ca` needs"),
        ("upstreams:", "default_upstreams: [billing]\nupstreams:", "there is no upstream `billing`"),
        ("upstreams:", "evidence: { expiration: 5m }\nupstreams:", "between 10 minutes"),
        ("upstreams:", "webhook: { tls: { mode: files } }\nupstreams:", "it goes with `mode: files`"),
        (
            "upstreams:",
            "webhook: { tls: { self: { certificate_lifetime: 31d } } }\nupstreams:",
            "at most 30 days",
        ),
        ("upstreams:", "webhook: { tls: { self: { authority_lifetime: 40d } } }\nupstreams:", "three times"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let text = settings(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(text.contains(expected) && text.starts_with("injector.yaml:"), "{to}: {text}");
    }
}

#[test]
fn ports_and_variables_are_taken_once() {
    let twin = "  orders.x: { port: 8712, target: \"https://a.example.com\", resource: a }\n  \
                orders-x: { port: 8713, target: \"https://b.example.com\", resource: b }\n";
    let text = settings(&format!("{GOOD}{twin}")).unwrap_err().to_string();
    assert!(text.contains("SYMBOLON_ORDERS_X_URL"), "{text}");
    let same_port = "  other: { port: 8711, target: \"https://a.example.com\", resource: a }\n";
    assert!(settings(&format!("{GOOD}{same_port}")).is_err());
}

#[test]
fn upstreams_come_from_a_mounted_folder_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("..2026_01_01");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("billing.yaml"), "port: 8712\ntarget: https://b.example.com\nresource: b\n")
        .unwrap();
    std::os::unix::fs::symlink("..2026_01_01", folder.path().join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/billing.yaml", folder.path().join("billing.yaml")).unwrap();
    let text = format!("{GOOD}upstreams_folder: {}\n", folder.path().display());
    let settings = settings(&text).unwrap();
    let names: Vec<&str> = settings.template.upstreams.keys().map(UpstreamName::as_str).collect();
    assert_eq!(names, ["billing", "orders"]);
    assert!(settings.files.iter().any(|path| path == folder.path()));
}

#[test]
fn an_upstream_of_the_folder_cannot_replace_one_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("orders"), "port: 8712\ntarget: https://b.example.com\nresource: b\n")
        .unwrap();
    let text =
        settings(&format!("{GOOD}upstreams_folder: {}\n", folder.path().display())).unwrap_err().to_string();
    assert!(text.contains("defined twice"), "{text}");
}

/// The names of all keys below a schema.
fn keys(schema: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
        found.extend(properties.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|inner| keys(inner, found)),
        serde_json::Value::Array(items) => items.iter().for_each(|inner| keys(inner, found)),
        _ => {}
    }
}

#[test]
fn the_reference_in_the_readme_is_valid_and_has_every_key() {
    let readme = include_str!("../../README.md");
    let reference = readme.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0;
    parse_str::<Config>(reference, "README.md", &Environment::empty()).unwrap();
    let mut known = std::collections::BTreeSet::new();
    keys(&serde_json::to_value(symbolon_config::schema::<Config>("injector")).unwrap(), &mut known);
    assert!(known.len() > 40, "{known:?}");
    for key in known {
        assert!(reference.contains(&format!("{key}:")), "`{key}` is missing in the reference");
    }
}
