//! From what a pod has and what it should have to the changes in between.
//! Whether it may have them was decided before.

use serde_json::{Value, json};

use super::annotations::Wishes;
use super::ours::Standing;
use super::parts::Parts;
use super::patch::{Operation, escaped};
use super::pod::{Container, Pod};
use crate::settings::{Settings, Upstream};

/// All that the changes follow from.
pub(super) struct Plan<'a> {
    pub(super) pod: &'a Pod<'a>,
    pub(super) parts: &'a Parts,
    pub(super) wishes: &'a Wishes<'a>,
    pub(super) settings: &'a Settings,
}

impl Plan<'_> {
    /// The changes. Those inside other containers come first: adding ours moves their places.
    pub(super) fn operations(&self, standing: Standing) -> Vec<Operation> {
        let mut operations = Vec::new();
        if standing == Standing::Absent {
            self.annotate(&mut operations);
        }
        for container in &self.pod.containers {
            // An ordinary sidecar runs only after the init containers.
            let reached = self.parts.native || container.list == "containers";
            if reached && self.wishes.told.holds(container.named.name) {
                self.tell(container, &mut operations);
            }
        }
        match standing {
            Standing::Absent => {
                self.add_volumes(&mut operations);
                self.add_container(&mut operations);
            }
            // Somebody put himself before us since: what starts before us has no identity yet.
            Standing::Ours { index } if self.parts.native && index > 0 => {
                operations.push(Operation::Move {
                    from: format!("/spec/initContainers/{index}"),
                    path: "/spec/initContainers/0".to_owned(),
                });
            }
            Standing::Ours { .. } => {}
        }
        operations
    }

    fn annotate(&self, operations: &mut Vec<Operation>) {
        if !self.pod.has_metadata {
            operations.push(Operation::add("/metadata", json!({})));
        }
        if self.pod.annotations.is_none() {
            operations.push(Operation::add("/metadata/annotations", json!({})));
        }
        for (key, value) in &self.parts.annotations {
            let path = format!("/metadata/annotations/{}", escaped(key));
            operations.push(Operation::add(path, json!(value)));
        }
    }

    /// Tells a container where its upstreams are.
    fn tell(&self, container: &Container<'_>, operations: &mut Vec<Operation>) {
        let path = format!("/spec/{}/{}/env", container.list, container.index);
        let missing: Vec<&Upstream> =
            self.upstreams().filter(|upstream| !is_told(container, upstream)).collect();
        if missing.is_empty() {
            return;
        }
        if !container.named.value.get("env").is_some_and(Value::is_array) {
            operations.push(Operation::add(path.clone(), json!([])));
        }
        for upstream in missing {
            operations.push(Operation::add(format!("{path}/-"), told(upstream)));
        }
    }

    fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let all = self.settings.template.upstreams.iter();
        all.filter(|(name, _)| self.wishes.upstreams.contains(*name)).map(|(_, upstream)| upstream)
    }

    fn add_volumes(&self, operations: &mut Vec<Operation>) {
        if self.pod.has("volumes") {
            for volume in &self.parts.volumes {
                operations.push(Operation::add("/spec/volumes/-", volume.clone()));
            }
        } else {
            operations.push(Operation::add("/spec/volumes", json!(self.parts.volumes)));
        }
    }

    fn add_container(&self, operations: &mut Vec<Operation>) {
        let container = &self.parts.container;
        operations.push(match (self.parts.native, self.pod.has("initContainers")) {
            (true, true) => Operation::add("/spec/initContainers/0", container.clone()),
            (true, false) => Operation::add("/spec/initContainers", json!([container])),
            // Last: the first container is the one that `kubectl logs` and `exec` take.
            (false, _) => Operation::add("/spec/containers/-", container.clone()),
        });
    }
}

/// The variable of an upstream.
pub(crate) fn told(upstream: &Upstream) -> Value {
    json!({ "name": upstream.variable, "value": format!("http://127.0.0.1:{}", upstream.port) })
}

fn is_told(container: &Container<'_>, upstream: &Upstream) -> bool {
    container.named.objects("env").any(|entry| entry.get("name") == Some(&json!(upstream.variable)))
}
