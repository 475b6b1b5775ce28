//! Manifests of all kinds, and that what is not touched stays as it is.
//! What a pod gets is tested with `inject`.

use std::fmt::Write as _;

use serde_json::json;
use symbolon_config::{Environment, parse_str};

use super::*;
use crate::config::Config;

const NATIVE: Circumstances = Circumstances { selection: crate::inject::Selection::Labelled, native: true };

fn settings() -> Settings {
    let text = r#"
sidecar: { image: "registry.example.com/symbolon-sidecar:0.1.0" }
broker: { url: "https://broker.example.com" }
upstreams: { orders: { port: 8711, target: "https://orders.example.com", resource: orders } }
default_upstreams: [orders]
"#;
    Settings::new(&parse_str::<Config>(text, "injector.yaml", &Environment::empty()).unwrap()).unwrap()
}

fn rendered(manifests: &str) -> Rendered {
    render(manifests, &settings(), NATIVE).unwrap()
}

fn values(text: &str) -> Vec<Value> {
    split(text).iter().map(|document| document.read().unwrap()).collect()
}

const TEMPLATE: &str = r#"{ metadata: { labels: { symbolon.dev/inject: "true" } }, spec: { containers: [{ name: app, image: a }] } }"#;

#[test]
fn every_kind_that_makes_pods_is_known() {
    for (version, kind, path) in [
        ("apps/v1", "Deployment", "/spec/template"),
        ("apps/v1", "StatefulSet", "/spec/template"),
        ("apps/v1", "DaemonSet", "/spec/template"),
        ("apps/v1", "ReplicaSet", "/spec/template"),
        ("batch/v1", "Job", "/spec/template"),
        ("v1", "ReplicationController", "/spec/template"),
    ] {
        let text = format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: x }}\nspec: {{ template: {TEMPLATE} }}\n"
        );
        let value = values(&rendered(&text).text).remove(0);
        let name = value.pointer(&format!("{path}/spec/initContainers/0/name")).unwrap();
        assert_eq!(name, "symbolon-sidecar", "{kind}");
    }
    let cron = format!(
        "apiVersion: batch/v1\nkind: CronJob\nspec: {{ jobTemplate: {{ spec: {{ template: {TEMPLATE} }} }} }}\n"
    );
    assert_eq!(rendered(&cron).injected, 1);
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {{ apiVersion: apps/v1, kind: Deployment, spec: {{ template: {TEMPLATE} }} }}\n- {{ apiVersion: v1, kind: ConfigMap }}\n"
    );
    assert_eq!(rendered(&list).injected, 1);
}

#[test]
fn kinds_of_others_and_all_other_documents_keep_every_byte() {
    let text = format!(
        "%YAML 1.2\n---\n# a comment\napiVersion: v1\nkind: ConfigMap\ndata: {{ a:   'b' }}\n--- # next\n\
         apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nspec: {{ template: {TEMPLATE} }}\n---\n\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{ name: plain }}\nspec: {{ containers: [] }}\n"
    );
    assert_eq!(rendered(&text).text, text);
    assert_eq!(rendered("").text, "");
}

#[test]
fn one_document_among_others_is_written_anew() {
    let plain = "# keep me\nkind: ConfigMap\napiVersion: v1\n";
    let pod = format!(
        "---\n{}",
        "apiVersion: v1\nkind: Pod\nmetadata: { name: shop, labels: { symbolon.dev/inject: \"true\" } }\nspec: { containers: [{ name: app, image: a }] }\n"
    );
    let out = rendered(&format!("{plain}{pod}---\n{plain}")).text;
    assert!(out.starts_with(plain) && out.ends_with(&format!("---\n{plain}")), "{out}");
    assert_eq!(rendered(&out).text, out, "a second time changes nothing");
}

#[test]
fn a_refusal_names_line_and_object_and_nothing_is_rendered() {
    let text = "kind: ConfigMap\n---\napiVersion: v1\nkind: Pod\nmetadata: { name: shop, labels: { symbolon.dev/inject: \"true\" } }\nspec: { hostNetwork: yes, containers: [] }\n";
    let error = render(text, &settings(), NATIVE).unwrap_err().to_string();
    assert!(error.starts_with("line 2: Pod `shop`: it uses `hostNetwork`"), "{error}");
    let error = render("a: b\n---\na: [\n", &settings(), NATIVE).unwrap_err();
    assert!(matches!(error, RenderError::Syntax { line: 3.., .. }), "{error}");
}

#[test]
fn scalars_are_what_kubectl_takes_them_for() {
    let text = "a: 0644\nb: yes\nc: 'yes'\nd: 1_000\ne: 1.5\nf: 0x1f\ng: ~\nh: 1.2.3\ni: -5\nj: 08\nk: !!str 5\nl: 2026-01-01\n";
    let expected = json!({
        "a": 420, "b": true, "c": "yes", "d": 1000, "e": 1.5, "f": 31, "g": null, "h": "1.2.3", "i": -5, "j": 8.0,
        "k": "5", "l": "2026-01-01",
    });
    assert_eq!(values(text).remove(0), expected);
}

#[test]
fn anchors_and_merge_keys_are_read_and_bombs_are_not() {
    let text = "base: &b { a: 1, b: 2 }\nother: { <<: *b, b: 3 }\n";
    assert_eq!(values(text).remove(0)["other"], json!({ "a": 1, "b": 3 }));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let previous = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![previous; 10].join(", ")).unwrap();
    }
    assert!(yaml_read::read(&bomb).unwrap_err().problem.contains("too many values"));
    assert!(yaml_read::read(&"[".repeat(1000)).is_err());
    assert!(yaml_read::read("a: 1\na: 2\n").unwrap_err().problem.contains("twice"));
}

#[test]
fn what_is_written_reads_as_the_same() {
    let value = json!({
        "plain": "registry.example.com/app:1.2", "empty": "", "yes": "yes", "number": "0644", "float": "1e3",
        "colon": "a: b", "hash": "a #b", "dash": "- a", "star": "*a", "quote": "it's \"x\"", "time": "12:30:45",
        "lines": "a\n b\n\nc\n", "open": "a\nb", "many": "a\n\n", "space": " a\nb", "tab": "\ta", "nul": "\u{0}\u{85}\u{2028}",
        "emoji": "🦀", "list": [[], {}, [1, [2, "y"]], [{ "a": [{ "b": null }] }]], "true": true, "n": 1.5, "neg": -3,
        "symbolon.dev/x": "{\"a\":[1]}",
    });
    let text = document(&value);
    assert_eq!(values(&text).remove(0), value, "{text}");
}
