//! A pod of a cluster as Cedar sees it: a record of the workload, with the pod as an entity of its own for its labels.
//! Not here: whether any of it is true.

use std::iter::empty;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{Entity, RestrictedExpr as Value};
use symbolon_identity::Timestamp;

use super::tags;
use super::values::{Extensions, Fields, entity, record, reference, text, texts};
use crate::{KubernetesFacts, PodFacts, PodPosture};

/// The attribute `kubernetes` of a workload in this pod; `None` if Cedar refuses a value.
pub(super) fn facts(facts: &KubernetesFacts, pod: &EntityUid) -> Option<Value> {
    let mut fields = vec![
        ("cluster".to_owned(), text(&facts.cluster)),
        ("namespace".to_owned(), text(&facts.namespace)),
        ("service_account".to_owned(), text(&facts.service_account)),
        ("pod".to_owned(), reference(pod)),
    ];
    fields.extend(facts.node.as_ref().map(|node| ("node".to_owned(), text(node))));
    record(fields)
}

/// The pod; `None` if Cedar refuses a value.
pub(super) fn pod(
    facts: &PodFacts,
    id: EntityUid,
    now: Timestamp,
    extensions: &Extensions,
) -> Option<Entity> {
    let mut fields = vec![("name".to_owned(), text(&facts.name)), ("uid".to_owned(), text(&facts.uid))];
    if let Some(found) = &facts.posture {
        fields.push(("posture".to_owned(), record(posture(found, now, extensions))?));
    }
    entity(id, fields, empty(), tags(&facts.labels))
}

fn posture(found: &PodPosture, now: Timestamp, extensions: &Extensions) -> Fields {
    let digests = found.image_digests.iter().map(String::as_str);
    let mut fields = vec![
        ("image_digests".to_owned(), texts(digests)),
        ("all_images_known".to_owned(), Value::val(found.all_images_known)),
        ("host_namespaces".to_owned(), Value::val(found.host_namespaces)),
        ("privileged".to_owned(), Value::val(found.privileged)),
        ("ephemeral_containers".to_owned(), Value::val(found.ephemeral_containers)),
    ];
    let age = found.created_at.map(|created_at| now.saturating_since(created_at).as_secs());
    fields.extend(age.map(|age| ("age".to_owned(), extensions.duration(age))));
    fields.extend(found.owner.as_ref().map(|owner| ("owner".to_owned(), text(owner))));
    fields.extend(found.node_ready.map(|ready| ("node_ready".to_owned(), Value::val(ready))));
    fields
}
