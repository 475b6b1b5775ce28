//! What tokens are issued for, and how callers name it.
//! Not here: who may have a token; policies say that.

use std::sync::Arc;
use std::time::Duration;

use symbolon_identity::{Audience, Scopes};
use symbolon_jws::Algorithm;

use crate::config::{Binding, ResourceConfig};
use crate::findings::Findings;
use crate::grants::Target;
use crate::refusal::Refusal;

/// The longest life that any token may be configured to have.
const LONGEST: Duration = Duration::from_hours(24);

/// All resources.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    all: Vec<Arc<Resource>>,
}

/// One resource.
#[derive(Debug)]
pub(crate) struct Resource {
    /// As policies see it.
    pub(crate) policy: symbolon_policies::Resource,
    /// The `aud` of its tokens.
    pub(crate) audience: Audience,
    /// The scopes that it offers.
    pub(crate) offered: Scopes,
    /// The longest life of its tokens.
    pub(crate) ttl: Duration,
    /// What its tokens are signed with.
    pub(crate) algorithm: Algorithm,
    binding: Binding,
    default: Scopes,
}

impl Resources {
    /// Checks and takes the section.
    pub(crate) fn build(section: &[ResourceConfig], findings: &mut Findings) -> Self {
        let mut all: Vec<Arc<Resource>> = Vec::with_capacity(section.len());
        for (index, config) in section.iter().enumerate() {
            let path = format!("resources[{index}]");
            let taken = |text: &str| {
                all.iter().any(|other| other.policy.name.as_str() == text || other.audience.as_str() == text)
            };
            if taken(config.name.as_str()) {
                findings.add(format!("{path}.name"), "another resource has this name or audience");
            }
            if taken(config.audience.as_str()) {
                findings.add(format!("{path}.audience"), "another resource has this name or audience");
            }
            if !config.default_scopes.is_subset(&config.scopes) {
                findings.add(format!("{path}.default_scopes"), "a default scope is not among `scopes`");
            }
            if config.scopes.len() > Scopes::LIMIT {
                findings.add(format!("{path}.scopes"), format!("more than {} scopes", Scopes::LIMIT));
            }
            let ttl = config.token_ttl.as_duration();
            if ttl < Duration::from_secs(1) || ttl > LONGEST {
                findings.add(format!("{path}.token_ttl"), "a token lives from one second to 24 hours");
            }
            all.push(Arc::new(Resource::new(config)));
        }
        Self { all }
    }

    /// The resource that a caller names.
    ///
    /// # Errors
    /// [`Refusal::InvalidTarget`] if there is none.
    pub(crate) fn find(&self, target: &Target) -> Result<Arc<Resource>, Refusal> {
        let named = |resource: &&Arc<Resource>| match target {
            Target::Resource(text) => resource.audience.as_str() == text,
            Target::Audience(text) => {
                resource.audience.as_str() == text || resource.policy.name.as_str() == text
            }
        };
        self.all.iter().find(named).cloned().ok_or(Refusal::InvalidTarget("unknown"))
    }

    /// The scopes of all resources, for the metadata document.
    pub(crate) fn scopes(&self) -> Scopes {
        self.all.iter().flat_map(|resource| resource.offered.iter().cloned()).collect()
    }
}

impl Resource {
    fn new(config: &ResourceConfig) -> Self {
        Self {
            policy: symbolon_policies::Resource { name: config.name.clone(), groups: config.groups.clone() },
            audience: config.audience.clone(),
            offered: config.scopes.iter().cloned().collect(),
            ttl: config.token_ttl.as_duration(),
            algorithm: config.algorithm.into(),
            binding: config.binding,
            default: config.default_scopes.iter().cloned().collect(),
        }
    }

    /// Whether a token of it needs a key to be bound to.
    pub(crate) fn needs_key(&self) -> bool {
        match self.binding {
            Binding::Dpop => true,
            Binding::BearerAllowed => false,
        }
    }

    /// The scopes that a request means.
    ///
    /// # Errors
    /// [`Refusal::InvalidScope`] if one is not offered, or none is named and there is no default (RFC 6749 §3.3).
    pub(crate) fn scopes(&self, requested: Option<&Scopes>) -> Result<Scopes, Refusal> {
        match requested {
            Some(scopes) if scopes.is_subset_of(&self.offered) => Ok(scopes.clone()),
            Some(_) => Err(Refusal::InvalidScope("not offered by the resource")),
            None if self.default.is_empty() && !self.offered.is_empty() => {
                Err(Refusal::InvalidScope("missing, and the resource has no default"))
            }
            None => Ok(self.default.clone()),
        }
    }
}
