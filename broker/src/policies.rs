//! The policies in force, and what they say to an inquiry.
//! Not here: Cedar (`symbolon-policies`), or noticing that a file has changed (`reload`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use symbolon_identity::Scopes;
use symbolon_jws::{base64url, sha256};
use symbolon_policies::{Denial, Effect, PolicyErrors, PolicyId, PolicySet};

use crate::inquiry::Inquiry;
use crate::refusal::Refusal;
use crate::resources::Resource;

/// The policy set in force, swapped whole.
#[derive(Debug)]
pub(crate) struct Policies {
    folder: PathBuf,
    current: ArcSwap<CurrentSet>,
}

/// One set of policies with a name of its content.
#[derive(Debug)]
pub(crate) struct CurrentSet {
    set: PolicySet,
    fingerprint: String,
}

/// A policy that could not be evaluated: a permit of this kind does not count, a forbid denies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedPolicy {
    /// Which one.
    pub(crate) id: PolicyId,
    /// What it would do.
    pub(crate) effect: Effect,
}

/// Proof that policy permits a whole request: all of its scopes. Made only by [`CurrentSet::decide`].
#[derive(Debug)]
pub(crate) struct Permit {
    resource: Arc<Resource>,
    scopes: Scopes,
    policies: Vec<PolicyId>,
    ceiling: Option<Duration>,
}

impl Policies {
    /// Serves this set, and reloads it from `folder`.
    pub(crate) fn new(folder: PathBuf, set: CurrentSet) -> Self {
        Self { folder, current: ArcSwap::from_pointee(set) }
    }

    /// The set in force now; one decision uses one set.
    pub(crate) fn current(&self) -> Arc<CurrentSet> {
        self.current.load_full()
    }

    /// The folder that the policies are in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts another set in force.
    pub(crate) fn replace(&self, set: CurrentSet) {
        self.current.store(Arc::new(set));
    }
}

impl CurrentSet {
    /// Loads and validates a folder.
    ///
    /// # Errors
    /// All that is wrong with its files.
    pub(crate) fn load(folder: &Path) -> Result<Self, PolicyErrors> {
        let set = PolicySet::load(folder)?;
        let mut content = Vec::new();
        for file in set.files() {
            content.extend_from_slice(&sha256(file.name.as_bytes()));
            content.extend_from_slice(&sha256(file.text.as_bytes()));
        }
        let fingerprint = base64url::encode(sha256(&content));
        Ok(Self { set, fingerprint })
    }

    /// What is odd about the set, for people.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        self.set.warnings().iter().map(ToString::to_string)
    }

    /// Logs what is odd about the set.
    pub(crate) fn log_warnings(&self) {
        for warning in self.warnings() {
            tracing::warn!(event.name = "policies.warning", warning, "a policy deserves a look");
        }
    }

    /// The name of the set's content.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The number of policies.
    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }

    /// The set itself, to explain a decision with.
    pub(crate) fn set(&self) -> &PolicySet {
        &self.set
    }

    /// Puts all questions of an inquiry; all must be permitted. Adds what could not be evaluated to `failed`.
    ///
    /// # Errors
    /// [`Refusal::Denied`] or [`Refusal::Undetermined`] for the first question that is not.
    pub(crate) fn decide(&self, inquiry: Inquiry, failed: &mut Vec<FailedPolicy>) -> Result<Permit, Refusal> {
        let mut policies = Vec::new();
        let mut ceiling: Option<Duration> = None;
        for question in inquiry.questions() {
            let decided = self.set.decide(question).into_result();
            self.note(decided.as_ref().map_or_else(Denial::errors, |permit| permit.errors()), failed);
            let permit = decided?;
            policies.extend_from_slice(permit.policies());
            ceiling = ceiling.into_iter().chain(permit.ceiling()).min();
        }
        policies.sort();
        policies.dedup();
        let (resource, scopes) = inquiry.into_parts();
        Ok(Permit { resource, scopes, policies, ceiling })
    }

    fn note(&self, errors: &[PolicyId], failed: &mut Vec<FailedPolicy>) {
        for id in errors {
            let known = failed.iter().any(|other| other.id == *id);
            if let Some(effect) = self.set.effect(id).filter(|_| !known) {
                failed.push(FailedPolicy { id: id.clone(), effect });
            }
        }
    }
}

impl Permit {
    /// The resource that it permits.
    pub(crate) fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The scopes that it permits.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The policies that permitted it.
    pub(crate) fn policies(&self) -> &[PolicyId] {
        &self.policies
    }

    /// The longest life that policy allows.
    pub(crate) fn ceiling(&self) -> Option<Duration> {
        self.ceiling
    }
}
