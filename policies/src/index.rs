//! Rules by what their heads name, so that a question walks only through those that may be about it.
//! Not here: judging. The engine looks at the whole head again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{ActionConstraint, EntityUid, PrincipalConstraint, ResourceConstraint, Schema};

use crate::compile::Rule;
use crate::translate::Case;

/// Rules by action, then by the resource or group of resources, then by the principal or its group.
///
/// INVARIANT: a rule whose head fits a case is among those that [`Index::about`] returns for it. If one were missing,
/// a `forbid` would not be asked. A property test compares with the whole set.
#[derive(Debug, Default)]
pub(crate) struct Index(HashMap<EntityUid, Anchored<Anchored<Vec<Arc<Rule>>>>>);

/// Things by the entity that they name, and the rest, which name none.
#[derive(Debug, Default)]
struct Anchored<T> {
    named: HashMap<EntityUid, T>,
    rest: T,
}

impl<T: Default> Anchored<T> {
    fn entry(&mut self, anchor: Option<EntityUid>) -> &mut T {
        match anchor {
            Some(anchor) => self.named.entry(anchor).or_default(),
            None => &mut self.rest,
        }
    }

    fn about<'a>(&'a self, anchors: &'a [EntityUid]) -> impl Iterator<Item = &'a T> {
        anchors.iter().filter_map(|anchor| self.named.get(anchor)).chain([&self.rest])
    }
}

impl Index {
    /// Files rules that were validated against this schema.
    pub(crate) fn build<'a>(rules: impl Iterator<Item = &'a Arc<Rule>>, schema: &Schema) -> Self {
        let mut index = Self::default();
        for rule in rules {
            let actions: HashSet<EntityUid> = match rule.policy.action_constraint() {
                ActionConstraint::Any => schema.actions().cloned().collect(),
                // The schema has no groups of actions, so that being in one is being it.
                ActionConstraint::In(actions) => actions.into_iter().collect(),
                ActionConstraint::Eq(action) => HashSet::from([action]),
            };
            let resource = resource(rule.policy.resource_constraint());
            let principal = principal(rule.policy.principal_constraint());
            for action in actions {
                let of_action = index.0.entry(action).or_default();
                of_action.entry(resource.clone()).entry(principal.clone()).push(Arc::clone(rule));
            }
        }
        index
    }

    /// The rules that may be about a case, each once.
    pub(crate) fn about<'a>(&'a self, anchors: &'a Anchors) -> impl Iterator<Item = &'a Rule> {
        let of_action = anchors.action.as_ref().and_then(|action| self.0.get(action));
        let of_resource = of_action.into_iter().flat_map(|all| all.about(&anchors.resource));
        of_resource.flat_map(|some| some.about(&anchors.principal)).flatten().map(AsRef::as_ref)
    }

    /// The rules that are about the action and the resource of a case, whoever asks; first those that are about the
    /// principal, too.
    pub(crate) fn near<'a>(&'a self, anchors: &'a Anchors) -> impl Iterator<Item = &'a Rule> {
        let of_action = anchors.action.as_ref().and_then(|action| self.0.get(action));
        let of_resource = of_action.into_iter().flat_map(|all| all.about(&anchors.resource));
        let others = of_resource.flat_map(|some| {
            let named = some.named.iter().filter(|(named, _)| !anchors.principal.contains(named));
            named.flat_map(|(_, rules)| rules).map(AsRef::as_ref)
        });
        self.about(anchors).chain(others)
    }

    /// How many policies name neither a resource nor a principal, for the action for which they are most.
    pub(crate) fn remainder(&self) -> usize {
        self.0.values().map(|of_action| of_action.rest.rest.len()).max().unwrap_or_default()
    }
}

/// The entities of one case that a head can name so that it fits.
#[derive(Debug)]
pub(crate) struct Anchors {
    action: Option<EntityUid>,
    resource: Vec<EntityUid>,
    principal: Vec<EntityUid>,
}

impl Anchors {
    /// Everything that the resource and the principal are, or are in.
    pub(crate) fn of(case: &Case) -> Self {
        let with_groups = |entity: Option<&EntityUid>| {
            let groups = entity.and_then(|entity| case.entities.ancestors(entity));
            entity.into_iter().chain(groups.into_iter().flatten()).cloned().collect()
        };
        Self {
            action: case.request.action().cloned(),
            resource: with_groups(case.request.resource()),
            principal: with_groups(case.request.principal()),
        }
    }
}

fn resource(constraint: ResourceConstraint) -> Option<EntityUid> {
    match constraint {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        ResourceConstraint::Eq(entity)
        | ResourceConstraint::In(entity)
        | ResourceConstraint::IsIn(_, entity) => Some(entity),
    }
}

fn principal(constraint: PrincipalConstraint) -> Option<EntityUid> {
    match constraint {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
        PrincipalConstraint::Eq(entity)
        | PrincipalConstraint::In(entity)
        | PrincipalConstraint::IsIn(_, entity) => Some(entity),
    }
}
