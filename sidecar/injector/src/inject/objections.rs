//! Pods that are not let in with a sidecar, each with a message that says what to change.
//! What annotations say wrong is in `annotations.rs`, false claims to be injected in `ours.rs`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::annotations::{UPSTREAMS, Wishes};
use super::pod::{Container, Named, Pod, shown};
use super::{LABEL, VOLUMES};
use crate::settings::{Settings, Upstream};

pub(super) fn check(pod: &Pod<'_>, settings: &Settings, wishes: &Wishes<'_>) -> Result<(), String> {
    for volume in &pod.volumes {
        if !VOLUMES.contains(&volume.name) && projects(volume, settings.template.audience.as_str()) {
            return Err(format!(
                "its volume {} projects a token for the broker ({}): only the sidecar may have one",
                shown(volume.name),
                settings.template.audience.as_str()
            ));
        }
    }
    let all = settings.template.upstreams.iter();
    let upstreams: Vec<&Upstream> =
        all.filter(|(name, _)| wishes.upstreams.contains(*name)).map(|(_, upstream)| upstream).collect();
    let ports = upstreams.iter().map(|upstream| upstream.port);
    let ports: BTreeSet<u16> = ports.chain([settings.template.sidecar.health.port()]).collect();
    for container in &pod.containers {
        mounts(container)?;
        taken_port(container, &ports)?;
        other_address(container, &upstreams)?;
    }
    Ok(())
}

/// Where no sidecar of ours can do its work. Asked first: it also bounds all further work.
pub(super) fn surroundings(pod: &Pod<'_>, settings: &Settings) -> Result<(), String> {
    let text = |object: &str, key: &str| pod.spec.get(object)?.get(key)?.as_str();
    if pod.says("hostNetwork") {
        return Err(format!(
            "it uses `hostNetwork`, where every process of the node could speak as this pod through the sidecar's \
             listeners: remove it, or the label `{LABEL}`"
        ));
    }
    if text("os", "name") == Some("windows") || text("nodeSelector", "kubernetes.io/os") == Some("windows") {
        return Err(format!("it runs on Windows, for which there is no sidecar: remove the label `{LABEL}`"));
    }
    let (found, most) = (pod.containers.len(), settings.max_containers);
    if found > most {
        return Err(format!("it has {found} containers; pods with more than {most} are not injected"));
    }
    Ok(())
}

/// Whether a volume holds a service account token with this audience.
fn projects(volume: &Named<'_>, audience: &str) -> bool {
    let projected = volume.value.get("projected").and_then(|projected| projected.get("sources"));
    let sources = projected.and_then(Value::as_array).into_iter().flatten();
    sources.filter_map(|source| source.get("serviceAccountToken")?.get("audience")).any(|own| own == audience)
}

/// The volumes do not exist yet, but a container may name them already.
fn mounts(container: &Container<'_>) -> Result<(), String> {
    let name_of =
        |mount: &Map<String, Value>| mount.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mounted =
        container.named.objects("volumeMounts").map(name_of).find(|name| VOLUMES.contains(&name.as_str()));
    match mounted {
        Some(volume) => Err(format!(
            "its container {} mounts the volume `{volume}`, which is the sidecar's alone",
            shown(container.named.name)
        )),
        None => Ok(()),
    }
}

fn taken_port(container: &Container<'_>, ports: &BTreeSet<u16>) -> Result<(), String> {
    let numbers = container.named.objects("ports").filter_map(|port| port.get("containerPort")?.as_u64());
    let taken = numbers.filter_map(|port| u16::try_from(port).ok()).find(|port| ports.contains(port));
    match taken {
        Some(port) => Err(format!(
            "its container {} listens on port {port}, which the sidecar needs: choose other upstreams in `{UPSTREAMS}`, \
             or another port",
            shown(container.named.name)
        )),
        None => Ok(()),
    }
}

/// A container that says itself where an upstream is would bypass the sidecar without anybody noticing.
fn other_address(container: &Container<'_>, upstreams: &[&Upstream]) -> Result<(), String> {
    for upstream in upstreams {
        let ours = super::plan::told(upstream);
        let named = |entry: &&Map<String, Value>| entry.get("name") == Some(&json!(upstream.variable));
        let other = container.named.objects("env").filter(named).any(|entry| ours.as_object() != Some(entry));
        if other {
            return Err(format!(
                "its container {} sets `{}` itself: remove it, or choose other upstreams in `{UPSTREAMS}`",
                shown(container.named.name),
                upstream.variable
            ));
        }
    }
    Ok(())
}
