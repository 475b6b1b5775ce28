//! Rendered manifests of the Helm chart: read, and looked through.
//! Not here: rendering them (`kubernetes.rs`), and what they have to be like (`chart.rs`).

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use symbolon_config::{Environment, parse_str};
use symbolon_e2e::process::workspace;

/// Each set of values in `tests/kubernetes/chart/values`, and the defaults.
pub(super) const SETS: [&str; 5] = ["default", "shop", "external-broker", "cert-manager", "policy-injection"];

/// The objects of one release.
#[derive(Debug)]
pub(crate) struct Manifests {
    pub(crate) set: &'static str,
    pub(crate) objects: Vec<Value>,
}

impl Manifests {
    /// Those that were rendered last from a set of values.
    pub(crate) fn rendered(set: &'static str) -> Self {
        Self { set, objects: objects(&fs::read_to_string(rendered(set)).unwrap()) }
    }

    pub(super) fn all() -> Vec<Self> {
        SETS.into_iter().map(Self::rendered).collect()
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        let kind = kind.to_owned();
        self.objects.iter().filter(move |object| object["kind"] == *kind)
    }

    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.of_kind(kind).find(|object| object["metadata"]["name"] == name)
    }

    /// Every pod, with the labels it would have.
    pub(super) fn pods(&self) -> Vec<Pod<'_>> {
        self.objects.iter().filter_map(Pod::of).collect()
    }
}

/// A pod that an object asks for.
#[derive(Debug)]
pub(super) struct Pod<'a> {
    pub(super) object: &'a Value,
    pub(super) metadata: &'a Value,
    pub(super) spec: &'a Value,
}

impl<'a> Pod<'a> {
    fn of(object: &'a Value) -> Option<Self> {
        let pod = if object["kind"] == "Pod" { object } else { &object["spec"]["template"] };
        pod["spec"].is_object().then(|| Self { object, metadata: &pod["metadata"], spec: &pod["spec"] })
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", text(&self.object["kind"]), text(&self.object["metadata"]["name"]))
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &Value> {
        let list = |key: &str| self.spec[key].as_array().map(Vec::as_slice).unwrap_or_default();
        list("initContainers").iter().chain(list("containers"))
    }
}

/// Where the rendered manifests of a set of values are kept.
pub(super) fn rendered(set: &str) -> PathBuf {
    workspace().join(format!("tests/kubernetes/chart/rendered/{set}.yaml"))
}

pub(super) fn chart() -> PathBuf {
    workspace().join("deploy/helm/symbolon")
}

/// The documents of a YAML stream, as our own reader of configurations sees them.
pub(super) fn objects(stream: &str) -> Vec<Value> {
    let mut documents = vec![String::new()];
    for line in stream.lines() {
        match documents.last_mut() {
            Some(document) if line != "---" => {
                document.push_str(line);
                document.push('\n');
            }
            _ => documents.push(String::new()),
        }
    }
    let says = |text: &&String| text.lines().any(|line| !line.starts_with('#') && !line.is_empty());
    documents.iter().filter(says).map(|text| yaml(text)).collect()
}

pub(super) fn yaml(text: &str) -> Value {
    parse_str::<Value>(text, "manifest", &Environment::empty())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .value
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The values of a list, empty if there is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
