//! Whether a pod has what we add already, and whether it really is ours.
//! A pod that only claims to be injected is refused: its container would be trusted with the pod's identity.

use serde_json::{Map, Value};

use super::parts::Parts;
use super::pod::{Container, Pod, shown};
use super::{CA, CONFIG, CONTAINER, STATUS, VOLUMES};

/// What a pod has of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing.
    Absent,
    /// Everything; the container at this place of its list.
    Ours { index: usize },
}

/// What other admission plugins change in every container, and what does not change whose it is.
const THEIRS: [&str; 2] = ["imagePullPolicy", "resources"];

/// Variables that would change what the sidecar does: `SYMBOLON__…` overrides its configuration, the others bring in code or
/// change how the loader, the allocator and TLS work.
const STEERING: [&str; 5] = ["SYMBOLON_", "LD_", "GLIBC_", "MALLOC_", "SSL_"];
/// Where other plugins mount what they give to every container.
const SECRETS: &str = "/var/run/secrets/";

/// SECURITY: anywhere else a mount could cover the program, its libraries or its key.
fn is_others_secret(path: &str) -> bool {
    path.strip_prefix(SECRETS)
        .is_some_and(|rest| !rest.is_empty() && rest.split('/').all(|part| part != ".." && part != "."))
}

pub(super) fn standing(pod: &Pod<'_>, parts: &Parts) -> Result<Standing, String> {
    let has_annotation = [STATUS, CONFIG, CA].iter().any(|key| pod.annotation(key).is_some());
    let clash = pod.volumes.iter().find(|volume| VOLUMES.contains(&volume.name));
    let Some(container) = pod.ours.first() else {
        if has_annotation {
            return Err(format!(
                "its annotations say that it is injected, but it has no container `{CONTAINER}`: remove \
                 `{STATUS}`, `{CONFIG}` and `{CA}`"
            ));
        }
        return match clash {
            Some(volume) => Err(format!("the volume name {} is the injector's", shown(volume.name))),
            None => Ok(Standing::Absent),
        };
    };
    for (key, value) in &parts.annotations {
        if pod.annotation(key) != Some(value) {
            return Err(format!(
                "it has a container `{CONTAINER}`, but not the injector's annotation `{key}` for it: the name is the \
                 injector's, and pods that were rendered with other settings have to be rendered again"
            ));
        }
    }
    let list = if parts.native { "initContainers" } else { "containers" };
    let volumes = parts.volumes.iter().all(|ours| pod.volumes.iter().any(|theirs| same(ours, theirs.value)));
    if container.list != list || !volumes || !is_ours(container, &parts.container) {
        return Err(format!("its container `{CONTAINER}` is not the injector's: the name is"));
    }
    Ok(Standing::Ours { index: container.index })
}

fn same(ours: &Value, theirs: &Map<String, Value>) -> bool {
    ours.as_object() == Some(theirs)
}

/// Whether this is the container that we would add. Others may have added variables and mounts, as many do to every
/// container, but none that would change what the sidecar does.
fn is_ours(container: &Container<'_>, expected: &Value) -> bool {
    let Some(expected) = expected.as_object() else { return false };
    let found = container.named.value;
    let fixed = |key: &str| !THEIRS.contains(&key) && key != "env" && key != "volumeMounts";
    let as_expected = expected.iter().all(|(key, value)| !fixed(key) || found.get(key) == Some(value));
    let nothing_more = found.keys().all(|key| !fixed(key) || expected.contains_key(key));
    let variables = container.named.objects("env").all(|entry| {
        let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
        !STEERING.iter().any(|prefix| name.starts_with(prefix))
    });
    let wanted = expected.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
    let mounts: Vec<&Value> = wanted.collect();
    let present = mounts.iter().all(|mount| {
        found.get("volumeMounts").and_then(Value::as_array).is_some_and(|found| found.contains(mount))
    });
    let elsewhere = container.named.objects("volumeMounts").all(|mount| {
        let path = mount.get("mountPath").and_then(Value::as_str).unwrap_or_default();
        mounts.iter().any(|ours| ours.as_object() == Some(mount)) || is_others_secret(path)
    });
    as_expected && nothing_more && variables && present && elsewhere
}
