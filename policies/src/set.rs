//! A validated, indexed set of policies that answers questions.
//! Not here: reading and validating (`source`, `compile`), Cedar's view of a question (`translate`).

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use cedar_policy::{EvalResult, Schema, eval_expression};
use symbolon_identity::LocalTimeName;

use crate::annotations::Mode;
use crate::compile::{Rules, compile};
use crate::index::{Anchors, Index};
use crate::schema::schema;
use crate::source::read_folder;
use crate::translate::{Case, Vocabulary};
use crate::verdicts::Verdicts;
use crate::{
    Decision, Denial, DenialKind, Effect, PolicyErrors, PolicyFile, PolicyId, PolicyWarning, Question,
    Warning,
};

/// Beyond this many policies that name nothing, a warning is due (about 0.7 µs each, each question).
const REMAINDER_WARNING: usize = 100;

/// A validated set of policies that answers questions.
///
/// It never changes: to reload, load a new one off the request path and swap it in only if that succeeded, so that
/// no question is ever judged by half a set or a broken one.
pub struct PolicySet {
    pub(crate) files: Vec<PolicyFile>,
    pub(crate) rules: Rules,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) schema: Schema,
    pub(crate) enforced: Index,
    shadow: Index,
    warnings: Vec<PolicyWarning>,
}

impl PolicySet {
    /// Reads and validates the `*.cedar` files of a folder. An empty folder is a set that denies everything.
    ///
    /// `local_times` are the names that the configuration defines; policies may read `context.local.<name>` of no other.
    ///
    /// # Errors
    /// [`PolicyErrors`] with every file, line and column at fault: unreadable, not Cedar, not valid against the
    /// schema, without or with a repeated `@id`, with an unknown annotation. A folder that is missing is an error.
    pub fn load(folder: &Path, local_times: &BTreeSet<LocalTimeName>) -> Result<Self, PolicyErrors> {
        Self::from_files(read_folder(folder)?, local_times)
    }

    /// Validates policies that were read elsewhere.
    ///
    /// # Errors
    /// [`PolicyErrors`] as for [`PolicySet::load`].
    pub fn from_files(
        files: Vec<PolicyFile>,
        local_times: &BTreeSet<LocalTimeName>,
    ) -> Result<Self, PolicyErrors> {
        let schema = schema(local_times)?;
        let (rules, mut warnings) = compile(&files, &schema)?;
        let vocabulary = Vocabulary::new()?;
        let of_mode = |mode| {
            let rules = rules.values().filter(move |rule| rule.annotations.mode == mode);
            Index::build(rules, &schema)
        };
        let (enforced, shadow) = (of_mode(Mode::Enforce), of_mode(Mode::Shadow));
        if rules.is_empty() {
            warnings.push(PolicyWarning::of_set(Warning::Empty));
        }
        let policies = enforced.remainder() + shadow.remainder();
        if policies > REMAINDER_WARNING {
            warnings.push(PolicyWarning::of_set(Warning::LargeRemainder { policies }));
        }
        Ok(Self { files, rules, vocabulary, schema, enforced, shadow, warnings })
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
                shadow: None,
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

    /// Puts the case to the policies that may be about it, and joins their answers.
    pub(crate) fn judge(&self, case: &Case) -> Decision {
        let anchors = Anchors::of(case);
        verdicts(&self.enforced, &anchors, case).decide(verdicts(&self.shadow, &anchors, case))
    }
}

fn verdicts<'a>(index: &'a Index, anchors: &'a Anchors, case: &Case) -> Verdicts<'a> {
    let mut verdicts = Verdicts::default();
    for rule in index.about(anchors) {
        match eval_expression(&case.request, &case.entities, &rule.whole) {
            Ok(EvalResult::Bool(false)) => {}
            Ok(EvalResult::Bool(true)) => match rule.effect {
                Effect::Permit => verdicts.permits.push(rule),
                Effect::Forbid => verdicts.forbids.push(rule),
            },
            // A condition that has another value than true or false is an error to the engine as well.
            Ok(_) | Err(_) => verdicts.errors.push(rule),
        }
    }
    verdicts
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet").field("policies", &self.rules.len()).finish_non_exhaustive()
    }
}
