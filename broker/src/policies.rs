//! The policies in force, and what they say to an inquiry.
//! Not here: Cedar (`symbolon-policies`), or noticing that a file has changed (`reload`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use symbolon_identity::{LocalTimeName, Scopes};
use symbolon_jws::{Algorithm, base64url, sha256};
use symbolon_policies::{Denial, Effect, PolicyErrors, PolicyId, PolicySet, Question, Shadow};

use crate::inquiry::Inquiry;
use crate::refusal::Refusal;
use crate::resources::Resource;

/// The policy set in force, swapped whole.
#[derive(Debug)]
pub(crate) struct Policies {
    folder: PathBuf,
    local_times: BTreeSet<LocalTimeName>,
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
    resources: Vec<Arc<Resource>>,
    scopes: Scopes,
    policies: Vec<PolicyId>,
    ceiling: Option<Duration>,
    max_actors: Option<u32>,
    shadow: Option<Shadow>,
}

impl Policies {
    /// Serves this set, and reloads it from `folder` with these names of local times.
    pub(crate) fn new(folder: PathBuf, local_times: BTreeSet<LocalTimeName>, set: CurrentSet) -> Self {
        Self { folder, local_times, current: ArcSwap::from_pointee(set) }
    }

    /// The set in force now; one decision uses one set.
    pub(crate) fn current(&self) -> Arc<CurrentSet> {
        self.current.load_full()
    }

    /// The folder that the policies are in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of the local times that policies may ask for.
    pub(crate) fn local_times(&self) -> &BTreeSet<LocalTimeName> {
        &self.local_times
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
    pub(crate) fn load(folder: &Path, local_times: &BTreeSet<LocalTimeName>) -> Result<Self, PolicyErrors> {
        let set = PolicySet::load(folder, local_times)?;
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

    /// Puts all questions of an inquiry; all must be permitted, and of a token that is addressed to resources the
    /// caller must operate one. Adds what could not be evaluated to `failed`.
    ///
    /// # Errors
    /// [`Refusal::NotAddressed`] if it operates none, [`Refusal::Denied`] or [`Refusal::Undetermined`] for the first
    /// question that is not permitted.
    pub(crate) fn decide(&self, inquiry: Inquiry, failed: &mut Vec<FailedPolicy>) -> Result<Permit, Refusal> {
        let mut policies = Vec::new();
        let (mut ceiling, mut max_actors): (Option<Duration>, Option<u32>) = (None, None);
        let mut shadow = None;
        for (party, questions) in inquiry.operated() {
            let operates = self.any(questions, failed).ok_or(Refusal::NotAddressed { party: *party })?;
            policies.extend_from_slice(operates.policies());
        }
        for question in inquiry.questions() {
            let permit = self.answer(question, failed)?;
            policies.extend_from_slice(permit.policies());
            ceiling = ceiling.into_iter().chain(permit.ceiling()).min();
            max_actors = max_actors.into_iter().chain(permit.max_actors()).min();
            shadow = shadow.or_else(|| permit.shadow().cloned());
        }
        policies.sort();
        policies.dedup();
        let (resources, scopes) = inquiry.into_parts();
        Ok(Permit { resources, scopes, policies, ceiling, max_actors, shadow })
    }

    /// The first permit for one of these questions. Adds what could not be evaluated to `failed`.
    pub(crate) fn any(
        &self,
        questions: &[Question],
        failed: &mut Vec<FailedPolicy>,
    ) -> Option<symbolon_policies::Permit> {
        questions.iter().find_map(|question| self.answer(question, failed).ok())
    }

    fn answer(
        &self,
        question: &Question,
        failed: &mut Vec<FailedPolicy>,
    ) -> Result<symbolon_policies::Permit, Denial> {
        let decided = self.set.decide(question).into_result();
        self.note(decided.as_ref().map_or_else(Denial::errors, |permit| permit.errors()), failed);
        decided
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
    /// The resources that it permits, at least one.
    pub(crate) fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// What the token is signed with: all resources of one token agree about it.
    pub(crate) fn algorithm(&self) -> Algorithm {
        // INVARIANT: an inquiry is about one resource or more.
        self.resources.first().map_or(Algorithm::Es256, |resource| resource.algorithm)
    }

    /// The most actors that policy lets the token name.
    pub(crate) fn max_actors(&self) -> Option<u32> {
        self.max_actors
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

    /// What policies in shadow mode would have changed about it.
    pub(crate) fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_ref()
    }
}
