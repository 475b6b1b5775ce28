//! Values as CEL expressions, and the expressions that both policies share.
//! Nothing of a pod's owner is in them: only settings, by a writer that quotes.

use serde_json::{Value, json};

use crate::inject::{LABEL, NAMESPACE_LABEL};

/// Marks a place in a text that the policy fills in: private-use characters, which no setting can hold.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// A place for the variable of this name.
pub(super) fn place(variable: &str) -> String {
    format!("{OPEN}{variable}{CLOSE}")
}

/// A text as a CEL literal: CEL knows all escapes of JSON.
pub(super) fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// Texts as a CEL list.
pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<String> = texts.into_iter().map(text).collect();
    format!("[{}]", all.join(", "))
}

/// A value as a CEL expression. Lists and maps of Kubernetes' CEL have one type of values only, so each is `dyn`.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(string) => filled(string),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(dynamic).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", text(key), dynamic(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn dynamic(inner: &Value) -> String {
    format!("dyn({})", value(inner))
}

/// A text whose places are filled in.
fn filled(string: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = string;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((variable, after)) = after.split_once(CLOSE) else { break };
        if !before.is_empty() {
            parts.push(text(before));
        }
        parts.push(format!("variables.{variable}"));
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(text(rest));
    }
    parts.join(" + ")
}

/// One entry of `variables`.
pub(super) fn variable(name: &str, expression: impl Into<String>) -> Value {
    json!({ "name": name, "expression": expression.into() })
}

/// Nodes show their static pods as they are. By who asks: a pod's owner could set the annotation that marks them.
pub(super) fn not_a_static_pod() -> Value {
    json!({ "name": "not-a-static-pod", "expression": "!(\"system:nodes\" in request.userInfo.groups)" })
}

/// The pod's annotations, also if there are none.
pub(super) fn annotations() -> Value {
    variable("annotations", "has(object.metadata.annotations) ? object.metadata.annotations : {}")
}

/// The labels of pod and namespace, and whether the pod is to be injected.
pub(super) fn selected() -> [Value; 3] {
    let label = |object: &str, key: &str| {
        let (labels, key) = (format!("{object}.metadata.labels"), text(key));
        format!("has({labels}) && {key} in {labels} ? {labels}[{key}] : \"\"")
    };
    [
        variable("label", label("object", LABEL)),
        variable("namespaceLabel", label("namespaceObject", NAMESPACE_LABEL)),
        variable(
            "selected",
            "variables.label == \"true\" || \
             (variables.label == \"\" && variables.namespaceLabel in [\"enabled\", \"enforced\"])",
        ),
    ]
}

/// The value of an annotation, or what stands for it.
pub(super) fn annotation(key: &str, otherwise: &str) -> String {
    let key = text(key);
    format!("{key} in variables.annotations ? variables.annotations[{key}] : {otherwise}")
}

/// The names in an annotation, or what stands for them.
pub(super) fn names(key: &str, otherwise: &str) -> String {
    let key = text(key);
    format!(
        "{key} in variables.annotations ? variables.annotations[{key}].replace(\";\", \",\").split(\",\")\
         .map(n, n.trim()).filter(n, n != \"\") : {otherwise}"
    )
}
