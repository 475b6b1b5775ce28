//! Our plain question as Cedar's request and entities.
//! Not here: evaluating them.

mod circumstances;
mod extensions;

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Context as CedarContext, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression as Value,
};
use symbolon_identity::GroupName;

use crate::compile::engine;
use crate::{
    Action, PolicyErrors, Principal, Question, RequestFacts, Resource, Subject, TokenFacts, Workload,
};
use extensions::Extensions;

/// The most parts of a path that policies can name one by one.
const MAX_SEGMENTS: usize = 16;
/// The id of an entity of which a question has only one.
const THIS: &str = "this";

/// Cedar's view of one question.
pub(crate) struct Case {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

/// Names are parsed once: parsing them costs more than a decision.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    workload: EntityTypeName,
    user: EntityTypeName,
    group: EntityTypeName,
    resource: EntityTypeName,
    resource_group: EntityTypeName,
    route: EntityTypeName,
    subject: EntityTypeName,
    token: EntityTypeName,
    segments: EntityTypeName,
    action: EntityTypeName,
    extensions: Extensions,
}

impl Vocabulary {
    pub(crate) fn new() -> Result<Self, PolicyErrors> {
        let name = |name: &str| {
            EntityTypeName::from_str(&format!("Symbolon::{name}")).map_err(|error| engine(&error))
        };
        Ok(Self {
            workload: name("Workload")?,
            user: name("User")?,
            group: name("Group")?,
            resource: name("Resource")?,
            resource_group: name("ResourceGroup")?,
            route: name("Route")?,
            subject: name("Subject")?,
            token: name("Token")?,
            segments: name("Segments")?,
            action: name("Action")?,
            extensions: Extensions::new()?,
        })
    }

    /// Builds Cedar's view of a question; `None` if Cedar refuses a value, which the question's types rule out.
    ///
    /// INVARIANT: what is built here conforms to `schema.cedarschema`, so that strict validation of the policies
    /// holds; the hot path does not check it again, a property test does. The one exception is `context.local`, whose
    /// names are the configuration's: a policy that reads a name which the question lacks fails to evaluate.
    pub(crate) fn case(&self, question: &Question) -> Option<Case> {
        let principal = self.principal(&question.principal)?;
        let action = uid(&self.action, question.action.name());
        let object = self.object(&question.action);
        let mut entities = vec![principal, object];
        let (principal, object) = (entities.first()?.uid(), entities.get(1)?.uid());
        let mut context = circumstances::of(&question.context, &self.extensions)?;
        self.particulars(&question.action, &mut context, &mut entities)?;
        let context = CedarContext::from_pairs(context).ok()?;
        let request = Request::new(principal, action, object, context, None).ok()?;
        let entities = Entities::from_entities(entities, None).ok()?;
        Some(Case { request, entities })
    }

    fn principal(&self, principal: &Principal) -> Option<Entity> {
        match principal {
            Principal::Workload(workload) => {
                let member = |group: &GroupName| uid(&self.group, group.as_str());
                let parents: HashSet<EntityUid> = workload.groups.iter().map(member).collect();
                let id = uid(&self.workload, workload.id.as_str());
                Entity::new_with_tags(id, attributes(workload)?, parents, tags(&workload.tags)).ok()
            }
            Principal::User(user) => {
                let attributes = HashMap::from([
                    ("issuer".to_owned(), text(user.issuer.as_str())),
                    ("subject".to_owned(), text(&user.subject)),
                ]);
                Entity::new(uid(&self.user, &user.id()), attributes, HashSet::new()).ok()
            }
        }
    }

    fn object(&self, action: &Action) -> Entity {
        match action {
            Action::Issue { resource, .. }
            | Action::Exchange { resource, .. }
            | Action::Impersonate { resource, .. }
            | Action::Operate { resource } => self.resource(resource),
            Action::Call { route, .. } => {
                Entity::new_no_attrs(uid(&self.route, route.as_str()), HashSet::new())
            }
        }
    }

    fn resource(&self, resource: &Resource) -> Entity {
        let member = |group: &GroupName| uid(&self.resource_group, group.as_str());
        let parents = resource.groups.iter().map(member).collect();
        Entity::new_no_attrs(uid(&self.resource, resource.name.as_str()), parents)
    }

    /// What the context of one action has beside the circumstances, with the entities that it names.
    fn particulars(
        &self,
        action: &Action,
        context: &mut Vec<(String, Value)>,
        entities: &mut Vec<Entity>,
    ) -> Option<()> {
        match action {
            Action::Issue { scope, .. } => context.push(("scope".to_owned(), scope_text(scope.as_ref()))),
            Action::Exchange { scope, subject, actors, .. } => {
                context.push(("scope".to_owned(), scope_text(scope.as_ref())));
                context.extend(chain(actors, 1));
                self.subject(subject, context, entities)?;
            }
            Action::Impersonate { scope, subject, actors, .. } => {
                context.push(("scope".to_owned(), scope_text(scope.as_ref())));
                context.extend(chain(actors, 0));
                self.subject(subject, context, entities)?;
            }
            Action::Operate { .. } => {}
            Action::Call { request, token, .. } => {
                self.token(token, context, entities)?;
                self.request(request, context, entities)?;
            }
        }
        Some(())
    }

    fn subject(
        &self,
        subject: &Subject,
        context: &mut Vec<(String, Value)>,
        entities: &mut Vec<Entity>,
    ) -> Option<()> {
        let attributes = HashMap::from([
            ("issuer".to_owned(), text(&subject.issuer)),
            ("id".to_owned(), text(&subject.id)),
            ("audiences".to_owned(), texts(subject.audiences.iter().map(String::as_str))),
            ("scopes".to_owned(), texts(subject.scopes.iter().map(AsRef::as_ref))),
        ]);
        let id = uid(&self.subject, &subject.id);
        context.push(("subject".to_owned(), Value::new_entity_uid(id.clone())));
        entities.push(
            Entity::new_with_tags(id, attributes, HashSet::<EntityUid>::new(), tags(&subject.claims)).ok()?,
        );
        Some(())
    }

    fn token(
        &self,
        token: &TokenFacts,
        context: &mut Vec<(String, Value)>,
        entities: &mut Vec<Entity>,
    ) -> Option<()> {
        let mut attributes = HashMap::from([
            ("issuer".to_owned(), text(token.issuer.as_str())),
            ("subject".to_owned(), text(&token.subject)),
        ]);
        attributes.extend(token.client_id.as_ref().map(|id| ("client_id".to_owned(), text(id))));
        let id = uid(&self.token, THIS);
        context.push(("token".to_owned(), Value::new_entity_uid(id.clone())));
        context.push(("scopes".to_owned(), texts(token.scopes.iter().map(AsRef::as_ref))));
        context.extend(chain(&token.actors, 0));
        entities.push(
            Entity::new_with_tags(id, attributes, HashSet::<EntityUid>::new(), tags(&token.claims)).ok()?,
        );
        Some(())
    }

    fn request(
        &self,
        request: &RequestFacts,
        context: &mut Vec<(String, Value)>,
        entities: &mut Vec<Entity>,
    ) -> Option<()> {
        let path = request.path.strip_prefix('/').unwrap_or(&request.path);
        let parts = || path.split('/').filter(|_| !path.is_empty());
        let count = i64::try_from(parts().count()).unwrap_or(i64::MAX);
        let attributes = HashMap::from([("count".to_owned(), Value::new_long(count))]);
        let numbered = (1..=MAX_SEGMENTS).map(|number| number.to_string()).zip(parts().map(text));
        let id = uid(&self.segments, THIS);
        context.extend([
            ("method".to_owned(), text(&request.method)),
            ("path".to_owned(), text(&request.path)),
            ("host".to_owned(), text(&request.host)),
            ("segments".to_owned(), Value::new_entity_uid(id.clone())),
        ]);
        entities.push(Entity::new_with_tags(id, attributes, HashSet::<EntityUid>::new(), numbered).ok()?);
        Some(())
    }
}

/// The id is data, never parsed: a quote or `::` in it cannot name another entity.
fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    Value::new_set(values.map(text))
}

fn tags(pairs: &std::collections::BTreeMap<String, String>) -> impl Iterator<Item = (String, Value)> {
    pairs.iter().map(|(name, value)| (name.clone(), text(value)))
}

fn scope_text(scope: Option<&symbolon_identity::Scope>) -> Value {
    text(scope.map_or("", AsRef::as_ref))
}

/// The actors, and how many of them the token names when `more` have been added.
fn chain(actors: &[String], more: usize) -> [(String, Value); 2] {
    let depth = i64::try_from(actors.len().saturating_add(more)).unwrap_or(i64::MAX);
    [
        ("actors".to_owned(), texts(actors.iter().map(String::as_str))),
        ("actor_depth".to_owned(), Value::new_long(depth)),
    ]
}

fn attributes(workload: &Workload) -> Option<HashMap<String, Value>> {
    let mut attributes = HashMap::from([
        ("provider".to_owned(), text(workload.provider.as_str())),
        ("assurance".to_owned(), text(workload.assurance.as_str())),
        ("trust_domain".to_owned(), text(workload.id.trust_domain())),
        ("path".to_owned(), text(workload.id.path())),
    ]);
    if let Some(unix) = &workload.unix {
        let mut fields = vec![
            ("uid".to_owned(), Value::new_long(unix.uid.into())),
            ("gid".to_owned(), Value::new_long(unix.gid.into())),
        ];
        for (name, value) in [
            ("user", &unix.user),
            ("executable", &unix.executable),
            ("executable_sha256", &unix.executable_sha256),
        ] {
            fields.extend(value.as_ref().map(|value| (name.to_owned(), text(value))));
        }
        attributes.insert("unix".to_owned(), Value::new_record(fields).ok()?);
    }
    if let Some(oidc) = &workload.oidc {
        let fields = [("issuer".to_owned(), text(&oidc.issuer)), ("subject".to_owned(), text(&oidc.subject))];
        attributes.insert("oidc".to_owned(), Value::new_record(fields).ok()?);
    }
    if let Some(client) = &workload.client {
        let fields = [("id".to_owned(), text(client.id.as_str()))];
        attributes.insert("client".to_owned(), Value::new_record(fields).ok()?);
    }
    Some(attributes)
}
