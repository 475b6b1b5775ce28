//! `SYMBOLON__SECTION__KEY` on the tree, before anything is typed.
//! What an override may not do is found by the typed reader, as for the file.

use super::{Entry, MAX_DEPTH, Node, Origin, Scalar, Value, yaml};
use crate::{
    environment::{Environment, OVERRIDE_PREFIX},
    error::{ConfigError, ConfigErrors, Problem},
};

/// Applies all overrides, in the order of their names.
pub(crate) fn apply(root: &mut Node, environment: &Environment) -> Result<(), ConfigErrors> {
    let mut errors = Vec::new();
    for (name, value) in environment.overrides() {
        if let Err(problem) = set(root, name, value) {
            errors.push(ConfigError {
                origin: name.to_owned(),
                position: None,
                path: String::new(),
                problem: Box::new(problem),
            });
        }
    }
    ConfigErrors::check(errors)
}

fn set(root: &mut Node, name: &str, value: &str) -> Result<(), Problem> {
    let path: Vec<&str> = name.strip_prefix(OVERRIDE_PREFIX).unwrap_or(name).split("__").collect();
    if path.iter().any(|segment| segment.is_empty()) || path.len() > MAX_DEPTH {
        return Err(Problem::Override("names no setting".to_owned()));
    }
    let origin = Origin::Variable(name.to_owned());
    let mut node = root;
    for segment in path {
        node = child(node, segment, &origin)?;
    }
    *node = given(value, &origin);
    Ok(())
}

/// The child of this name or number, made if it is not there.
fn child<'n>(node: &'n mut Node, segment: &str, origin: &Origin) -> Result<&'n mut Node, Problem> {
    let empty = || Node { origin: origin.clone(), value: Value::Scalar(Scalar::new("", false)), raw: None };
    if node.is_null() {
        node.value = Value::Mapping(Vec::new());
    }
    match &mut node.value {
        Value::Scalar(_) => {
            Err(Problem::Override(format!("there is nothing below this setting that `{segment}` could name")))
        }
        Value::Sequence(items) => {
            let known = items.len();
            let index: usize = segment.parse().ok().filter(|index| *index <= known).ok_or_else(|| {
                Problem::Override(format!("`{segment}` is no element of a list of {known}"))
            })?;
            if index == known {
                items.push(empty());
            }
            items.get_mut(index).ok_or_else(|| Problem::Override("no such element".to_owned()))
        }
        Value::Mapping(entries) => {
            let index =
                entries.iter().position(|entry| same_name(&entry.key, segment)).unwrap_or_else(|| {
                    let key = segment.to_ascii_lowercase();
                    entries.push(Entry { key, origin: origin.clone(), value: empty() });
                    entries.len().saturating_sub(1)
                });
            let entry = entries.get_mut(index);
            entry.map(|entry| &mut entry.value).ok_or_else(|| Problem::Override("no such key".to_owned()))
        }
    }
}

/// Variable names are upper case and cannot hold a hyphen.
fn same_name(key: &str, segment: &str) -> bool {
    key.replace('-', "_").eq_ignore_ascii_case(segment)
}

/// The value as a scalar, or as YAML if it opens with a bracket and is YAML. The text is kept beside it: nobody knows
/// yet whether a secret is wanted here, and a secret is never parsed, nor shown in a message about its form.
fn given(value: &str, origin: &Origin) -> Node {
    let scalar = |quoted| Scalar::new(value, quoted);
    let text = |raw| Node { origin: origin.clone(), value: Value::Scalar(scalar(false)), raw };
    if !value.starts_with(['[', '{']) {
        return text(None);
    }
    match yaml::parse(value, "value") {
        Ok(mut node) => {
            stamp(&mut node, origin);
            Node { raw: Some(scalar(true)), ..node }
        }
        Err(_) => text(Some(scalar(true))),
    }
}

fn stamp(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| stamp(item, origin)),
        Value::Mapping(entries) => {
            for entry in entries {
                entry.origin = origin.clone();
                stamp(&mut entry.value, origin);
            }
        }
    }
}
