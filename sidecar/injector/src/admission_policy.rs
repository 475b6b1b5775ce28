//! The same injection without a webhook: a `MutatingAdmissionPolicy` for the API server to evaluate, and a
//! `ValidatingAdmissionPolicy` that lets no selected pod in without its sidecar. Not applied by us: the text is printed.

use serde_json::{Value, json};

use crate::inject::NAMESPACE_LABEL;
use crate::render::document;
use crate::settings::Settings;

mod cel;
mod mutating;
mod validating;

/// Which policy to print, each with its binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one that injects.
    Mutating,
    /// The one that sees to it.
    Validating,
}

const INJECTS: &str = "symbolon-injector";
const SEES_TO_IT: &str = "symbolon-sidecar-required";

/// The policies as YAML documents.
#[must_use]
pub fn documents(settings: &Settings, parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        let (kind, name, spec, actions) = match part {
            Part::Mutating => ("MutatingAdmissionPolicy", INJECTS, mutating::spec(settings), None),
            Part::Validating => {
                let actions = json!(["Deny"]);
                ("ValidatingAdmissionPolicy", SEES_TO_IT, validating::spec(settings), Some(actions))
            }
        };
        let mut binding = json!({ "policyName": name });
        if let Some(actions) = actions {
            binding["validationActions"] = actions;
        }
        for (kind, spec) in [(kind.to_owned(), spec), (format!("{kind}Binding"), binding)] {
            let object = json!({
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": kind,
                "metadata": { "name": name },
                "spec": spec,
            });
            text.push_str("---\n");
            text.push_str(&document(&object));
        }
    }
    text
}

/// Pods outside of the namespaces that have to start before us, and of those that want nothing of us.
fn constraints(settings: &Settings, operations: &[&str], resources: &[&str]) -> Value {
    let ours = &settings.webhook.tls.own.namespace;
    json!({
        "resourceRules": [{
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": operations,
            "resources": resources,
            "scope": "Namespaced",
        }],
        "namespaceSelector": { "matchExpressions": [
            { "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "kube-node-lease", ours] },
            { "key": NAMESPACE_LABEL, "operator": "NotIn", "values": ["disabled"] },
        ] },
    })
}

#[cfg(test)]
mod tests;
