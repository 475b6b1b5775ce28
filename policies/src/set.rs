//! A validated, indexed set of policies that answers questions.
//! Not here: reading and validating (`source`, `compile`), Cedar's view of a question (`translate`).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

use cedar_policy::{
    Authorizer, Decision as CedarDecision, EntityUid, PolicyId as CedarId, PolicySet as CedarSet,
    ResourceConstraint,
};

use crate::compile::{Rule, Rules, compile, engine};
use crate::source::read_folder;
use crate::translate::{Case, Vocabulary};
use crate::{
    Decision, Denial, DenialKind, Effect, Permit, PolicyErrors, PolicyFile, PolicyId, PolicyWarning,
    Question, Warning,
};

/// Beyond this many policies without a resource of their own, a warning is due (about 0.7 µs each, each question).
const REMAINDER_WARNING: usize = 100;

/// A validated set of policies that answers questions.
///
/// It never changes: to reload, load a new one off the request path and swap it in only if that succeeded, so that
/// no question is ever judged by half a set or a broken one.
pub struct PolicySet {
    pub(crate) files: Vec<PolicyFile>,
    pub(crate) rules: Rules,
    pub(crate) vocabulary: Vocabulary,
    by_resource: HashMap<EntityUid, CedarSet>,
    remainder: CedarSet,
    authorizer: Authorizer,
    warnings: Vec<PolicyWarning>,
}

impl PolicySet {
    /// Reads and validates the `*.cedar` files of a folder. An empty folder is a set that denies everything.
    ///
    /// # Errors
    /// [`PolicyErrors`] with every file, line and column at fault: unreadable, not Cedar, not valid against the
    /// schema, without or with a repeated `@id`, with an unknown annotation. A folder that is missing is an error.
    pub fn load(folder: &Path) -> Result<Self, PolicyErrors> {
        Self::from_files(read_folder(folder)?)
    }

    /// Validates policies that were read elsewhere.
    ///
    /// # Errors
    /// [`PolicyErrors`] as for [`PolicySet::load`].
    pub fn from_files(files: Vec<PolicyFile>) -> Result<Self, PolicyErrors> {
        let (rules, mut warnings) = compile(&files)?;
        let vocabulary = Vocabulary::new()?;
        let (mut by_resource, mut remainder) = (HashMap::<_, CedarSet>::new(), CedarSet::new());
        for rule in rules.values() {
            let part = match rule.policy.resource_constraint() {
                ResourceConstraint::Eq(resource) => by_resource.entry(resource).or_default(),
                ResourceConstraint::Any
                | ResourceConstraint::In(_)
                | ResourceConstraint::Is(_)
                | ResourceConstraint::IsIn(..) => &mut remainder,
            };
            part.add(rule.policy.clone()).map_err(|error| engine(&error))?;
        }
        if rules.is_empty() {
            warnings.push(PolicyWarning::of_set(Warning::Empty));
        }
        let policies = remainder.num_of_policies();
        if policies > REMAINDER_WARNING {
            warnings.push(PolicyWarning::of_set(Warning::LargeRemainder { policies }));
        }
        let authorizer = Authorizer::new();
        Ok(Self { files, rules, vocabulary, by_resource, remainder, authorizer, warnings })
    }

    /// Answers one question: a permit only if at least one `permit` holds, no `forbid` holds, and no `forbid` failed
    /// to evaluate (Cedar alone would skip a failing `forbid` and so fail open).
    #[must_use]
    pub fn decide(&self, question: &Question) -> Decision {
        match self.vocabulary.case(question) {
            Some(case) => self.judge(&case),
            None => Decision::Denial(Denial {
                kind: DenialKind::Error,
                policies: Vec::new(),
                errors: Vec::new(),
                notes: Box::default(),
            }),
        }
    }

    /// What an operator should know although the set is valid.
    #[must_use]
    pub fn warnings(&self) -> &[PolicyWarning] {
        &self.warnings
    }

    /// The files it was made from, so that a version of it can be recorded.
    #[must_use]
    pub fn files(&self) -> &[PolicyFile] {
        &self.files
    }

    /// The number of policies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no policy, so that everything is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a policy permits or forbids; none if the set has no policy of this id.
    #[must_use]
    pub fn effect(&self, id: &PolicyId) -> Option<Effect> {
        self.rules.get(id.as_str()).map(|rule| rule.effect)
    }

    /// Puts the case to the resource's own policies and to the remainder, and joins their answers.
    pub(crate) fn judge(&self, case: &Case) -> Decision {
        let mut verdicts = Verdicts::default();
        for part in [self.by_resource.get(&case.resource), Some(&self.remainder)].into_iter().flatten() {
            let response = self.authorizer.is_authorized(&case.request, part, &case.entities);
            let diagnostics = response.diagnostics();
            verdicts.errors.extend(diagnostics.errors().filter_map(|error| {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                self.find(error.policy_id())
            }));
            let holding = match response.decision() {
                CedarDecision::Allow => &mut verdicts.permits,
                CedarDecision::Deny => &mut verdicts.forbids,
            };
            holding.extend(diagnostics.reason().filter_map(|id| self.find(id)));
        }
        verdicts.decide()
    }

    fn find(&self, id: &CedarId) -> Option<&Rule> {
        let id: &str = id.as_ref();
        self.rules.get(id)
    }
}

/// The rules that had something to say about a case.
#[derive(Default)]
struct Verdicts<'a> {
    permits: Vec<&'a Rule>,
    forbids: Vec<&'a Rule>,
    errors: Vec<&'a Rule>,
}

impl Verdicts<'_> {
    fn decide(self) -> Decision {
        let errors = ids(&self.errors);
        let failed_forbids: Vec<_> =
            self.errors.into_iter().filter(|rule| rule.effect == Effect::Forbid).collect();
        let (kind, rules) = if !self.forbids.is_empty() {
            (DenialKind::Forbidden, self.forbids)
        } else if !failed_forbids.is_empty() {
            (DenialKind::Error, failed_forbids)
        } else if self.permits.is_empty() {
            (DenialKind::NoPermit, Vec::new())
        } else {
            let ceiling = self.permits.iter().filter_map(|rule| rule.annotations.ttl).min();
            return Decision::Permit(Permit { policies: ids(&self.permits), ceiling, errors });
        };
        let first = rules.iter().min_by_key(|rule| &rule.annotations.id);
        let notes = Box::new(first.map(|rule| rule.annotations.notes.clone()).unwrap_or_default());
        Decision::Denial(Denial { kind, policies: ids(&rules), errors, notes })
    }
}

fn ids(rules: &[&Rule]) -> Vec<PolicyId> {
    let ids: BTreeSet<_> = rules.iter().map(|rule| rule.annotations.id.clone()).collect();
    ids.into_iter().collect()
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet").field("policies", &self.rules.len()).finish_non_exhaustive()
    }
}
