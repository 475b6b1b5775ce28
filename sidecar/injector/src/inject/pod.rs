//! A pod as it came: the parts that matter here, checked for their shape only.
//! Not a typed pod: fields that are newer than we are have to survive.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::CONTAINER;

/// The parts of a pod.
#[derive(Debug)]
pub(crate) struct Pod<'a> {
    pub(crate) annotations: Option<&'a Map<String, Value>>,
    labels: Option<&'a Map<String, Value>>,
    pub(crate) has_metadata: bool,
    pub(crate) spec: &'a Map<String, Value>,
    /// Containers and init containers that are not ours, with their places in the pod.
    pub(crate) containers: Vec<Container<'a>>,
    /// What bears our container's name.
    pub(crate) ours: Vec<Container<'a>>,
    pub(crate) volumes: Vec<Named<'a>>,
}

/// A container and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'a> {
    pub(crate) named: Named<'a>,
    /// `containers` or `initContainers`.
    pub(crate) list: &'static str,
    pub(crate) index: usize,
}

/// An object with a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a Map<String, Value>,
}

impl<'a> Pod<'a> {
    /// Reads a pod or a template of one.
    pub(crate) fn read(pod: &'a Value) -> Result<Self, String> {
        let spec = pod.get("spec").and_then(Value::as_object).ok_or("it has no `spec`")?;
        let metadata = object(pod.as_object(), "metadata")?;
        let mut containers = Vec::new();
        for list in ["initContainers", "containers"] {
            let found = named(spec, list)?.into_iter().enumerate();
            containers.extend(found.map(|(index, named)| Container { named, list, index }));
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = containers.iter().find(|container| !names.insert(container.named.name)) {
            return Err(format!("two containers are called {}", shown(twice.named.name)));
        }
        let (ours, containers) =
            containers.into_iter().partition(|container| container.named.name == CONTAINER);
        Ok(Self {
            annotations: texts(metadata, "annotations")?,
            labels: texts(metadata, "labels")?,
            has_metadata: metadata.is_some(),
            spec,
            containers,
            ours,
            volumes: named(spec, "volumes")?,
        })
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations.and_then(|all| all.get(key)).and_then(Value::as_str)
    }

    pub(crate) fn label(&self, key: &str) -> Option<&'a str> {
        self.labels.and_then(|all| all.get(key)).and_then(Value::as_str)
    }

    /// Whether the list is there, even if it is empty.
    pub(crate) fn has(&self, list: &str) -> bool {
        self.spec.get(list).is_some_and(Value::is_array)
    }

    /// Whether a field of the specification is `true`.
    pub(crate) fn says(&self, field: &str) -> bool {
        self.spec.get(field) == Some(&Value::Bool(true))
    }
}

impl<'a> Named<'a> {
    /// The objects of a list; nothing if there is no such list.
    pub(crate) fn objects(&self, list: &str) -> impl Iterator<Item = &'a Map<String, Value>> + use<'a> {
        let list = self.value.get(list).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object)
    }
}

/// A value of the pod's owner in a message: quoted, escaped, and not longer than it needs to be.
pub(crate) fn shown(text: &str) -> String {
    const ENOUGH: usize = 64;
    match text.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

fn object<'a>(
    parent: Option<&'a Map<String, Value>>,
    key: &str,
) -> Result<Option<&'a Map<String, Value>>, String> {
    match parent.and_then(|parent| parent.get(key)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(format!("`{key}` is not an object")),
    }
}

fn texts<'a>(
    metadata: Option<&'a Map<String, Value>>,
    key: &str,
) -> Result<Option<&'a Map<String, Value>>, String> {
    let texts = object(metadata, key)?;
    let all = texts.is_none_or(|texts| texts.values().all(Value::is_string));
    if all { Ok(texts) } else { Err(format!("`metadata.{key}` has a value that is not a text: quote it")) }
}

fn named<'a>(spec: &'a Map<String, Value>, list: &str) -> Result<Vec<Named<'a>>, String> {
    let items = match spec.get(list) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(format!("`spec.{list}` is not a list")),
    };
    let read = |item: &'a Value| {
        let value = item.as_object()?;
        Some(Named { name: value.get("name")?.as_str()?, value })
    };
    let named = items.iter().map(read).collect::<Option<Vec<_>>>();
    named.ok_or_else(|| format!("an entry of `spec.{list}` has no name"))
}
