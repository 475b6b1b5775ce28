//! Cedar's values, and entities made of them.
//! Not here: what they mean. Cedar's public constructors parse the name of an extension function each time, and look
//! for ancestors of ancestors; here the names are parsed once, and there are no ancestors but parents.

use std::collections::HashSet;

use cedar_policy::{Entities, EntityUid};
use cedar_policy_core::ast::{Entity, EntityUID, Name, RestrictedExpr as Value};
use cedar_policy_core::entities::{Entities as CoreEntities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions as Available;

use crate::PolicyErrors;
use crate::compile::engine;

/// Values by their names.
pub(super) type Fields = Vec<(String, Value)>;

/// The functions that make values of extension types.
#[derive(Debug)]
pub(crate) struct Extensions {
    datetime: Name,
    duration: Name,
    ip: Name,
}

impl Extensions {
    pub(crate) fn new() -> Result<Self, PolicyErrors> {
        let name = |name: &str| Name::parse_unqualified_name(name).map_err(|error| engine(&error));
        Ok(Self { datetime: name("datetime")?, duration: name("duration")?, ip: name("ip")? })
    }

    /// A point in time, written as RFC 3339.
    pub(super) fn datetime(&self, text: &str) -> Value {
        call(&self.datetime, text)
    }

    /// Whole seconds.
    pub(super) fn duration(&self, seconds: u64) -> Value {
        call(&self.duration, &format!("{seconds}s"))
    }

    /// An address.
    pub(super) fn ip(&self, text: &str) -> Value {
        call(&self.ip, text)
    }
}

fn call(function: &Name, text: &str) -> Value {
    Value::call_extension_fn(function.clone(), [Value::val(text)])
}

pub(super) fn text(value: &str) -> Value {
    Value::val(value)
}

pub(super) fn texts<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    Value::set(values.map(text))
}

pub(super) fn record(fields: Fields) -> Option<Value> {
    Value::record(fields.into_iter().map(|(name, value)| (name.into(), value))).ok()
}

pub(super) fn reference(entity: &EntityUid) -> Value {
    Value::val(EntityUID::from(entity.clone()))
}

/// An entity; `None` if a value cannot be evaluated.
///
/// INVARIANT: its parents are groups, which are in nothing, so that they are all of its ancestors.
pub(super) fn entity(
    id: EntityUid,
    attributes: Fields,
    parents: impl Iterator<Item = EntityUid>,
    tags: impl Iterator<Item = (String, Value)>,
) -> Option<Entity> {
    let named = |(name, value): (String, Value)| (name.into(), value);
    let parents = parents.map(EntityUID::from).collect();
    let (attributes, tags) = (attributes.into_iter().map(named), tags.map(named));
    Entity::new(id.into(), attributes, HashSet::new(), parents, tags, Available::all_available()).ok()
}

/// Everything that a question is about; `None` if two entities with one id differ.
pub(super) fn all(entities: Vec<Entity>) -> Option<Entities> {
    let (none, known) = (None::<&NoEntitiesSchema>, TCComputation::AssumeAlreadyComputed);
    CoreEntities::from_entities(entities, none, known, Available::all_available()).ok().map(Into::into)
}
