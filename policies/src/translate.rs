//! Our plain question as Cedar's request and entities.
//! Not here: evaluating them.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Context as CedarContext, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression as Value,
};
use symbolon_identity::GroupName;

use crate::compile::engine;
use crate::{Action, Context, PolicyErrors, Question, Workload};

/// Cedar's view of one question.
pub(crate) struct Case {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
    pub(crate) resource: EntityUid,
}

/// Names are parsed once: parsing them costs more than a decision.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    workload: EntityTypeName,
    group: EntityTypeName,
    resource: EntityTypeName,
    resource_group: EntityTypeName,
    route: EntityTypeName,
    action: EntityTypeName,
}

impl Vocabulary {
    pub(crate) fn new() -> Result<Self, PolicyErrors> {
        let name = |name: &str| {
            EntityTypeName::from_str(&format!("Symbolon::{name}")).map_err(|error| engine(&error))
        };
        Ok(Self {
            workload: name("Workload")?,
            group: name("Group")?,
            resource: name("Resource")?,
            resource_group: name("ResourceGroup")?,
            route: name("Route")?,
            action: name("Action")?,
        })
    }

    /// Builds Cedar's view of a question; `None` if Cedar refuses a value, which the question's types rule out.
    ///
    /// INVARIANT: what is built here conforms to `schema.cedarschema`, so that strict validation of the policies
    /// holds; the hot path does not check it again, a property test does.
    pub(crate) fn case(&self, question: &Question) -> Option<Case> {
        let principal = self.principal(&question.principal)?;
        let action = uid(&self.action, question.action.name());
        let resource = self.object(&question.action);
        let context = CedarContext::from_pairs(context(&question.action, &question.context)).ok()?;
        let request = Request::new(principal.uid(), action, resource.uid(), context, None).ok()?;
        let resource_id = resource.uid();
        let entities = Entities::from_entities([principal, resource], None).ok()?;
        Some(Case { request, entities, resource: resource_id })
    }

    fn principal(&self, workload: &Workload) -> Option<Entity> {
        let parents: HashSet<EntityUid> =
            workload.groups.iter().map(|group| uid(&self.group, group.as_str())).collect();
        let tags = workload.tags.iter().map(|(name, value)| (name.clone(), text(value)));
        let id = uid(&self.workload, workload.id.as_str());
        Entity::new_with_tags(id, attributes(workload)?, parents, tags).ok()
    }

    fn object(&self, action: &Action) -> Entity {
        match action {
            Action::Issue { resource, .. } => {
                let member = |group: &GroupName| uid(&self.resource_group, group.as_str());
                let parents = resource.groups.iter().map(member).collect();
                Entity::new_no_attrs(uid(&self.resource, resource.name.as_str()), parents)
            }
            Action::Call { route, .. } => {
                Entity::new_no_attrs(uid(&self.route, route.as_str()), HashSet::new())
            }
        }
    }
}

/// The id is data, never parsed: a quote or `::` in it cannot name another entity.
fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
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

fn context(action: &Action, context: &Context) -> Vec<(String, Value)> {
    let mut pairs = vec![
        ("now".to_owned(), Value::new_datetime(context.now.to_string())),
        ("key_bound".to_owned(), Value::new_bool(context.key_bound)),
    ];
    // Canonical, so that `::ffff:10.0.0.1` is in 10.0.0.0/8; Cedar does not read the mixed notation anyway.
    let source_ip = context.source_ip.map(|ip| ip.to_canonical().to_string());
    pairs.extend(source_ip.map(|ip| ("source_ip".to_owned(), Value::new_ip(ip))));
    pairs.extend(context.evidence_age.map(|age| {
        ("evidence_age".to_owned(), Value::new_duration(format!("{}s", age.as_secs().min(MAX_AGE_SECONDS))))
    }));
    match action {
        Action::Issue { scope, .. } => {
            let scope = scope.as_ref().map_or_else(String::new, ToString::to_string);
            pairs.push(("scope".to_owned(), Value::new_string(scope)));
        }
        Action::Call { method, path, scopes, .. } => pairs.extend([
            ("scopes".to_owned(), Value::new_set(scopes.iter().map(|scope| text(scope.as_str())))),
            ("method".to_owned(), text(method)),
            ("path".to_owned(), text(path)),
        ]),
    }
    pairs
}

/// Cedar counts durations in milliseconds in 64 bits; anything older is as old as this.
const MAX_AGE_SECONDS: u64 = 1 << 40;
