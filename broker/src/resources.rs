//! What tokens are issued for, and how callers name it.
//! Not here: who may have a token; policies say that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use symbolon_identity::{Audience, IdentityError, IssuerUrl, ResourceName, Scope, Scopes};
use symbolon_jws::Algorithm;
use symbolon_wire::{paths, status};

use crate::claims::ClaimMapping;
use crate::config::{Binding, ExchangeMode, ResourceConfig, SigningAlgorithm};
use crate::findings::Findings;
use crate::grants::Target;
use crate::refusal::Refusal;

/// The longest life that any token may be configured to have.
pub(crate) const LONGEST: Duration = Duration::from_hours(24);
/// The resource that stands for our own revocation feed; policies say who may read it.
pub(crate) const STATUS: &str = "symbolon-status";

/// All resources.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    all: Vec<Arc<Resource>>,
    /// What tokens are addressed to that are addressed to us.
    ourselves: Vec<Audience>,
    /// The same and the audiences of all resources.
    audiences: Vec<Audience>,
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
    /// What an exchange makes for it.
    pub(crate) exchange: ExchangeMode,
    /// The claims that it adds to its tokens.
    pub(crate) claims: ClaimMapping,
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
                text == STATUS
                    || all
                        .iter()
                        .any(|other| other.policy.name.as_str() == text || other.audience.as_str() == text)
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
            let claims = ClaimMapping::build(&config.claims, &format!("{path}.claims"), findings);
            all.push(Arc::new(Resource::new(config, claims)));
        }
        Self { all, ..Self::default() }
    }

    /// The same with what depends on our own name: the feed as a resource, and the audiences of all tokens.
    ///
    /// # Errors
    /// [`IdentityError`] if our URL is no audience.
    pub(crate) fn of_issuer(mut self, issuer: &IssuerUrl) -> Result<Self, IdentityError> {
        self.all.push(Arc::new(Resource::new(&feed(issuer)?, ClaimMapping::default())));
        self.ourselves = vec![Audience::parse(issuer.as_str())?];
        let resources = self.all.iter().map(|resource| resource.audience.clone());
        self.audiences = self.ourselves.iter().cloned().chain(resources).collect();
        Ok(self)
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

    /// The resource with this audience.
    pub(crate) fn of_audience(&self, audience: &Audience) -> Option<Arc<Resource>> {
        self.all.iter().find(|resource| resource.audience == *audience).cloned()
    }

    /// What a token is addressed to that is addressed to us.
    pub(crate) fn ourselves(&self) -> &[Audience] {
        &self.ourselves
    }

    /// Everything that a token of ours can be addressed to.
    pub(crate) fn audiences(&self) -> &[Audience] {
        &self.audiences
    }

    /// The scopes of all resources, for the metadata document.
    pub(crate) fn scopes(&self) -> Scopes {
        self.all.iter().flat_map(|resource| resource.offered.iter().cloned()).collect()
    }
}

/// The feed as a resource like any other: bound, and for whom policy says.
fn feed(issuer: &IssuerUrl) -> Result<ResourceConfig, IdentityError> {
    let scopes = BTreeSet::from([Scope::parse(status::SCOPE)?]);
    Ok(ResourceConfig {
        name: ResourceName::parse(STATUS)?,
        audience: Audience::parse(&issuer.join(paths::STATUS))?,
        default_scopes: scopes.clone(),
        scopes,
        groups: BTreeSet::new(),
        claims: BTreeMap::new(),
        binding: Binding::Dpop,
        exchange: ExchangeMode::Delegate,
        algorithm: SigningAlgorithm::default(),
        token_ttl: symbolon_config::HumanDuration::from_secs(300),
    })
}

impl Resource {
    fn new(config: &ResourceConfig, claims: ClaimMapping) -> Self {
        Self {
            policy: symbolon_policies::Resource { name: config.name.clone(), groups: config.groups.clone() },
            audience: config.audience.clone(),
            offered: config.scopes.iter().cloned().collect(),
            ttl: config.token_ttl.as_duration(),
            exchange: config.exchange,
            claims,
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

    /// The scopes of a request that names none.
    ///
    /// # Errors
    /// [`Refusal::InvalidScope`] if there is no default (RFC 6749 §3.3).
    pub(crate) fn default_scopes(&self) -> Result<&Scopes, Refusal> {
        if self.default.is_empty() && !self.offered.is_empty() {
            Err(Refusal::InvalidScope("missing, and the resource has no default"))
        } else {
            Ok(&self.default)
        }
    }
}
