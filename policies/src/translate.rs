//! Our plain question as Cedar's request and entities.
//! Not here: evaluating them.

mod circumstances;
mod kubernetes;
mod values;

use std::collections::BTreeMap;
use std::iter::empty;
use std::str::FromStr;

use cedar_policy::{Context as CedarContext, Entities, EntityId, EntityTypeName, EntityUid, Request};
use cedar_policy_core::ast::{Entity, RestrictedExpr as Value};

use crate::compile::engine;
use crate::{Action, PolicyErrors, Principal, Question, RequestFacts, Subject, TokenFacts, Workload};
use values::{Extensions, Fields, all, entity, record, reference, text, texts};

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
    pod: EntityTypeName,
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
            pod: name("Pod")?,
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
        let (principal, object) = (self.principal_id(&question.principal), self.object_id(&question.action));
        let action = uid(&self.action, question.action.name());
        let mut entities = vec![object_entity(&question.action, object.clone(), &self.resource_group)?];
        self.principal(question, principal.clone(), &mut entities)?;
        let mut context = circumstances::of(&question.context, &self.extensions)?;
        self.particulars(&question.action, &mut context, &mut entities)?;
        let context = context.into_iter().map(|(name, value)| (name, value.into()));
        let context = CedarContext::from_pairs(context).ok()?;
        let request = Request::new(principal, action, object, context, None).ok()?;
        Some(Case { request, entities: all(entities)? })
    }

    fn principal_id(&self, principal: &Principal) -> EntityUid {
        match principal {
            Principal::Workload(workload) => uid(&self.workload, workload.id.as_str()),
            Principal::User(user) => uid(&self.user, &user.id()),
        }
    }

    /// The principal, with the entities that its attributes name.
    fn principal(&self, question: &Question, id: EntityUid, entities: &mut Vec<Entity>) -> Option<()> {
        match &question.principal {
            Principal::Workload(workload) => {
                let mut attributes = attributes(workload)?;
                if let Some(facts) = &workload.kubernetes {
                    let pod = uid(&self.pod, &facts.pod.uid);
                    let now = question.context.now;
                    entities.push(kubernetes::pod(&facts.pod, pod.clone(), now, &self.extensions)?);
                    attributes.push(("kubernetes".to_owned(), kubernetes::facts(facts, &pod)?));
                }
                let parents = workload.groups.iter().map(|name| uid(&self.group, name.as_str()));
                entities.push(entity(id, attributes, parents, tags(&workload.tags))?);
            }
            Principal::User(user) => {
                let attributes = vec![
                    ("issuer".to_owned(), text(user.issuer.as_str())),
                    ("subject".to_owned(), text(&user.subject)),
                ];
                entities.push(entity(id, attributes, empty(), empty())?);
            }
        }
        Some(())
    }

    fn object_id(&self, action: &Action) -> EntityUid {
        match action {
            Action::Issue { resource, .. }
            | Action::Exchange { resource, .. }
            | Action::Impersonate { resource, .. }
            | Action::Operate { resource } => uid(&self.resource, resource.name.as_str()),
            Action::Call { route, .. } => uid(&self.route, route.as_str()),
        }
    }

    /// What the context of one action has beside the circumstances, with the entities that it names.
    fn particulars(&self, action: &Action, context: &mut Fields, entities: &mut Vec<Entity>) -> Option<()> {
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

    fn subject(&self, subject: &Subject, context: &mut Fields, entities: &mut Vec<Entity>) -> Option<()> {
        let attributes = vec![
            ("issuer".to_owned(), text(&subject.issuer)),
            ("id".to_owned(), text(&subject.id)),
            ("audiences".to_owned(), texts(subject.audiences.iter().map(String::as_str))),
            ("scopes".to_owned(), texts(subject.scopes.iter().map(AsRef::as_ref))),
        ];
        let id = uid(&self.subject, &subject.id);
        context.push(("subject".to_owned(), reference(&id)));
        entities.push(entity(id, attributes, empty(), tags(&subject.claims))?);
        Some(())
    }

    fn token(&self, token: &TokenFacts, context: &mut Fields, entities: &mut Vec<Entity>) -> Option<()> {
        let mut attributes = vec![
            ("issuer".to_owned(), text(token.issuer.as_str())),
            ("subject".to_owned(), text(&token.subject)),
        ];
        attributes.extend(token.client_id.as_ref().map(|id| ("client_id".to_owned(), text(id))));
        let id = uid(&self.token, THIS);
        context.push(("token".to_owned(), reference(&id)));
        context.push(("scopes".to_owned(), texts(token.scopes.iter().map(AsRef::as_ref))));
        context.extend(chain(&token.actors, 0));
        entities.push(entity(id, attributes, empty(), tags(&token.claims))?);
        Some(())
    }

    fn request(
        &self,
        request: &RequestFacts,
        context: &mut Fields,
        entities: &mut Vec<Entity>,
    ) -> Option<()> {
        let path = request.path.strip_prefix('/').unwrap_or(&request.path);
        let parts = || path.split('/').filter(|_| !path.is_empty());
        let count = i64::try_from(parts().count()).unwrap_or(i64::MAX);
        let attributes = vec![("count".to_owned(), Value::val(count))];
        let numbered = (1..=MAX_SEGMENTS).map(|number| number.to_string()).zip(parts().map(text));
        let id = uid(&self.segments, THIS);
        context.extend([
            ("method".to_owned(), text(&request.method)),
            ("path".to_owned(), text(&request.path)),
            ("host".to_owned(), text(&request.host)),
            ("segments".to_owned(), reference(&id)),
        ]);
        entities.push(entity(id, attributes, empty(), numbered)?);
        Some(())
    }
}

/// The id is data, never parsed: a quote or `::` in it cannot name another entity.
fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn object_entity(action: &Action, id: EntityUid, group: &EntityTypeName) -> Option<Entity> {
    match action {
        Action::Issue { resource, .. }
        | Action::Exchange { resource, .. }
        | Action::Impersonate { resource, .. }
        | Action::Operate { resource } => {
            let parents = resource.groups.iter().map(|name| uid(group, name.as_str()));
            entity(id, Vec::new(), parents, empty())
        }
        Action::Call { .. } => entity(id, Vec::new(), empty(), empty()),
    }
}

fn tags(pairs: &BTreeMap<String, String>) -> impl Iterator<Item = (String, Value)> {
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
        ("actor_depth".to_owned(), Value::val(depth)),
    ]
}

fn attributes(workload: &Workload) -> Option<Fields> {
    let mut attributes = vec![
        ("provider".to_owned(), text(workload.provider.as_str())),
        ("assurance".to_owned(), text(workload.assurance.as_str())),
        ("trust_domain".to_owned(), text(workload.id.trust_domain())),
        ("path".to_owned(), text(workload.id.path())),
    ];
    if let Some(unix) = &workload.unix {
        let mut fields = vec![
            ("uid".to_owned(), Value::val(i64::from(unix.uid))),
            ("gid".to_owned(), Value::val(i64::from(unix.gid))),
        ];
        for (name, value) in [
            ("user", &unix.user),
            ("executable", &unix.executable),
            ("executable_sha256", &unix.executable_sha256),
        ] {
            fields.extend(value.as_ref().map(|value| (name.to_owned(), text(value))));
        }
        attributes.push(("unix".to_owned(), record(fields)?));
    }
    if let Some(oidc) = &workload.oidc {
        let fields =
            vec![("issuer".to_owned(), text(&oidc.issuer)), ("subject".to_owned(), text(&oidc.subject))];
        attributes.push(("oidc".to_owned(), record(fields)?));
    }
    if let Some(client) = &workload.client {
        let fields = vec![("id".to_owned(), text(client.id.as_str()))];
        attributes.push(("client".to_owned(), record(fields)?));
    }
    Some(attributes)
}
