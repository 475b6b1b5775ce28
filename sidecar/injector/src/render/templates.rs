//! Which objects hold a pod, and where in them.
//! Only kinds of Kubernetes itself: what another operator makes of a template of its own is not known here.

use serde_json::Value;

/// The pods and templates in an object, each with a name for messages.
pub(super) fn of(object: &mut Value) -> Vec<(String, &mut Value)> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let path: &[&str] = match (group, kind.as_str()) {
        ("", "Pod") => &[],
        ("", "ReplicationController")
        | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job") => &["spec", "template"],
        ("batch", "CronJob") => &["spec", "jobTemplate", "spec", "template"],
        ("" | "apps" | "batch", list) if list.ends_with("List") => {
            let items = object.get_mut("items").and_then(Value::as_array_mut);
            return items.into_iter().flatten().flat_map(of).collect();
        }
        _ => return Vec::new(),
    };
    let name = object.pointer("/metadata/name").or_else(|| object.pointer("/metadata/generateName"));
    let name = format!("{kind} `{}`", name.and_then(Value::as_str).unwrap_or_default());
    let mut template = Some(object);
    for key in path {
        template = template.and_then(|value| value.get_mut(*key));
    }
    template.map(|template| (name, template)).into_iter().collect()
}
