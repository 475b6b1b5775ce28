//! The route table: host, then the most precise path, then the method; compiled at load, order-independent.
//! Not here: what a route asks of a request (`plan.rs`, `judge.rs`).

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use symbolon_identity::RouteName;

use crate::paths::{CanonicalPath, PathPattern};
use crate::request::RequestView;
use crate::stages::Stages;
use crate::stages::verify::VerifyRule;
use crate::streams::StreamRule;
use crate::upstream::Upstream;

/// One route, finished.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: RouteName,
    /// What a request has to pass.
    pub stages: Stages,
    /// Whether a request without any credential may pass.
    pub public: bool,
    /// Whether the caller's credential goes on to the upstream.
    pub forward_credential: bool,
    /// Where admitted requests go.
    pub upstream: Upstream,
    /// How its streams are kept.
    pub streams: StreamRule,
}

/// Where a route is in the table.
#[derive(Debug, Clone)]
pub struct Place {
    /// Lower-case host names, or any.
    pub hosts: Option<Vec<String>>,
    /// The path.
    pub pattern: PathPattern,
    /// The methods, or any.
    pub methods: Option<Vec<Method>>,
}

/// Two routes answer the same requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` with the same host and method already belongs to route `{other}`")]
pub struct Overlap {
    pattern: String,
    other: RouteName,
}

/// All routes.
#[derive(Debug, Default)]
pub struct Routes {
    hosts: HashMap<String, Vec<Group>>,
    any_host: Vec<Group>,
}

/// The routes of one host and pattern, told apart by method.
#[derive(Debug)]
struct Group {
    pattern: PathPattern,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    methods: Option<Vec<Method>>,
    route: Arc<Route>,
}

impl Routes {
    /// Adds a route.
    ///
    /// # Errors
    /// [`Overlap`] if another route has the same host, pattern and method.
    pub fn add(&mut self, place: &Place, route: &Arc<Route>) -> Result<(), Overlap> {
        match &place.hosts {
            None => insert(&mut self.any_host, place, route),
            Some(hosts) => hosts
                .iter()
                .try_for_each(|host| insert(self.hosts.entry(host.clone()).or_default(), place, route)),
        }
    }

    /// The route of a request.
    ///
    /// The most precise pattern that matches decides, also when it does not know the method: what is protected on one
    /// method does not fall through to a broader route on another.
    #[must_use]
    pub fn find(&self, request: &RequestView<'_>) -> Option<&Arc<Route>> {
        let group = self.groups(&request.host()).find(|group| group.pattern.matches(&request.path))?;
        group.members.iter().find(|member| member.answers(request.method)).map(|member| &member.route)
    }

    /// The rule that the metadata at `path` of `host` describes (RFC 9728 §3.1: the path after the well-known part).
    ///
    /// The path `/` stands for the host as a whole if all its routes protect one resource.
    #[must_use]
    pub fn described(&self, host: &str, path: &CanonicalPath<'_>) -> Option<&VerifyRule> {
        let rules = || self.groups(host).flat_map(|group| group.rules().map(move |rule| (group, rule)));
        let text = path.as_str().trim_end_matches('/');
        let exact = rules().find(|(group, _)| group.pattern.literal_prefix() == text);
        let found = exact.or_else(|| rules().find(|(group, _)| group.pattern.matches(path)));
        let whole = || {
            let (_, first) = rules().next()?;
            let one = text.is_empty() && rules().all(|(_, rule)| rule.resource == first.resource);
            one.then_some(first)
        };
        found.map(|(_, rule)| rule).or_else(whole)
    }

    fn groups(&self, host: &str) -> impl Iterator<Item = &Group> {
        self.hosts.get(host).into_iter().flatten().chain(&self.any_host)
    }
}

impl Group {
    fn rules(&self) -> impl Iterator<Item = &VerifyRule> {
        self.members.iter().filter_map(|member| member.route.stages.verify())
    }
}

impl Member {
    fn answers(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(method))
    }

    fn overlaps(&self, methods: Option<&[Method]>) -> bool {
        match (&self.methods, methods) {
            (Some(mine), Some(other)) => mine.iter().any(|method| other.contains(method)),
            _ => true,
        }
    }
}

fn insert(groups: &mut Vec<Group>, place: &Place, route: &Arc<Route>) -> Result<(), Overlap> {
    let member = Member { methods: place.methods.clone(), route: Arc::clone(route) };
    let Some(group) = groups.iter_mut().find(|group| group.pattern == place.pattern) else {
        groups.push(Group { pattern: place.pattern.clone(), members: vec![member] });
        groups.sort_by(|one, other| one.pattern.cmp_precision(&other.pattern));
        return Ok(());
    };
    if let Some(other) = group.members.iter().find(|other| other.overlaps(place.methods.as_deref())) {
        let pattern = place.pattern.as_str().to_owned();
        return Err(Overlap { pattern, other: other.route.name.clone() });
    }
    group.members.push(member);
    Ok(())
}
