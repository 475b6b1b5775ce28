//! What a pod's owner may want to know, although it is no reason to refuse the pod.
//! The API server shows each of them to whoever creates the pod; it cuts them at 256 bytes.

use serde_json::Value;

use super::pod::{Pod, shown};
use crate::settings::Settings;

/// Variables by which apps get an identity from somebody else. Ours does not replace those.
const OTHER_IDENTITIES: [&str; 7] = [
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ACCESS_KEY_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_APPLICATION_CREDENTIALS",
];

pub(super) fn of(pod: &Pod<'_>, settings: &Settings, native: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    for container in &pod.containers {
        let names = container.named.objects("env").filter_map(|entry| entry.get("name")?.as_str());
        for name in names.filter(|name| OTHER_IDENTITIES.contains(name)) {
            let container = shown(container.named.name);
            warnings.push(format!("symbolon: container {container} has another identity too, by `{name}`"));
        }
    }
    if pod.says("shareProcessNamespace") {
        warnings.push(
            "symbolon: with `shareProcessNamespace`, a container that runs as root can read the sidecar's key".to_owned(),
        );
    }
    let user = u64::from(settings.template.sidecar.user);
    let runs_as = |object: Option<&Value>| object?.get("runAsUser")?.as_u64();
    let of_pod = runs_as(pod.spec.get("securityContext"));
    let shares = |container: &super::pod::Container<'_>| {
        runs_as(container.named.value.get("securityContext")).or(of_pod) == Some(user)
    };
    if pod.containers.iter().any(shares) {
        warnings.push(format!("symbolon: a container runs as user {user}, which is the sidecar's"));
    }
    let ends = pod.spec.get("restartPolicy").and_then(Value::as_str).is_some_and(|policy| policy != "Always");
    if !native && ends {
        warnings.push(
            "symbolon: the sidecar is an ordinary container here, so the pod does not end when its own containers do"
                .to_owned(),
        );
    }
    warnings
}
