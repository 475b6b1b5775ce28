//! Why a question was answered as it was: which conditions of which policies held, and which did not.
//! Not here: deciding. The reader pays for this, never the request.

use cedar_policy::{ActionConstraint, Policy, ResourceConstraint};
use serde::{Deserialize, Serialize};

use crate::compile::Rule;
use crate::conditions::{conditions, is_true};
use crate::index::Anchors;
use crate::translate::Case;
use crate::{Decision, DenialKind, Notes, PolicyId, PolicySet, Question};

/// The most policies that one explanation shows.
const MAX_POLICIES: usize = 20;
/// The most policies that one explanation looks into.
const MAX_EXAMINED: usize = 1000;
/// A change of more conditions than this is no hint any more.
const MAX_CHANGES: usize = 2;

/// The policies that could have decided a question, condition by condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Whether the question is permitted by this set.
    pub permitted: bool,
    /// Why it is denied, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<DenialKind>,
    /// Deciding policies first, then the nearest misses.
    pub policies: Vec<ExplainedPolicy>,
}

impl Explanation {
    /// The permits that did not apply, nearest first.
    pub fn near_misses(&self) -> impl Iterator<Item = &ExplainedPolicy> {
        self.policies.iter().filter(|policy| policy.effect == Effect::Permit && !policy.applies)
    }

    /// The forbids that decided, or that could not be evaluated.
    pub fn forbids(&self) -> impl Iterator<Item = &ExplainedPolicy> {
        self.policies.iter().filter(|policy| policy.effect == Effect::Forbid)
    }

    /// The conditions that would have to change for the answer to be a permit, if at most two are enough.
    ///
    /// It changes each forbid at its last condition, because that is the narrowest, and the permit that misses least.
    #[must_use]
    pub fn smallest_change(&self) -> Option<Vec<String>> {
        if self.permitted {
            return None;
        }
        let mut changes = Vec::new();
        for forbid in self.forbids() {
            let last =
                forbid.conditions.iter().rev().find(|condition| condition.verdict == Verdict::Holds)?;
            changes.push(last.opposite());
        }
        let permits = self.policies.iter().filter(|policy| policy.effect == Effect::Permit);
        let nearest =
            permits.filter(|policy| !policy.is_broken()).min_by_key(|policy| policy.failed().count())?;
        changes.extend(nearest.failed().map(|condition| condition.text.clone()));
        (1..=MAX_CHANGES).contains(&changes.len()).then_some(changes)
    }
}

/// One policy whose action and resource fit the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedPolicy {
    /// Its `@id`.
    pub id: PolicyId,
    /// Whether it permits or forbids.
    pub effect: Effect,
    /// The file it stands in.
    pub file: String,
    /// The line where it begins, from 1.
    pub line: usize,
    /// What it says about itself.
    #[serde(flatten)]
    pub notes: Notes,
    /// Whether all conditions hold.
    pub applies: bool,
    /// Its conditions: the principal's part of the scope, then each part of each `when` and `unless`.
    pub conditions: Vec<Condition>,
}

impl ExplainedPolicy {
    /// The conditions that do not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Condition> {
        self.conditions.iter().filter(|condition| condition.verdict != Verdict::Holds)
    }

    fn is_broken(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition.verdict, Verdict::Error(_)))
    }
}

/// What a policy does when its conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It permits.
    Permit,
    /// It forbids, whatever else permits.
    Forbid,
}

impl Condition {
    fn opposite(&self) -> String {
        match self.text.strip_prefix("!(").and_then(|text| text.strip_suffix(')')) {
            Some(inner) => inner.to_owned(),
            None => format!("!({})", self.text),
        }
    }
}

/// One condition of a policy, as far as `&&` can split it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Its text, in Cedar.
    pub text: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What would make it hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the question says instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// The attribute that it speaks of, such as `principal.unix.uid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is true.
    Holds,
    /// It is false.
    Fails,
    /// It makes no sense because a condition before it fails.
    NotReached,
    /// It could not be evaluated.
    Error(String),
}

impl PolicySet {
    /// Explains how this set answers a question: the deciding policies first, then, if it is denied, the permits for
    /// this action and resource by the number of conditions that they miss. At most twenty policies are shown, and at
    /// most a thousand looked into, first those about the principal. Policies in shadow mode are left out.
    ///
    /// It costs milliseconds and shows values of the question: it is for operators, never for callers.
    #[must_use]
    pub fn explain(&self, question: &Question) -> Explanation {
        let (permitted, denial) = match self.decide(question) {
            Decision::Permit(_) => (true, None),
            Decision::Denial(denial) => (false, Some(denial.kind())),
        };
        let mut policies: Vec<_> = on_a_large_stack(|| match self.vocabulary.case(question) {
            Some(case) => {
                let anchors = Anchors::of(&case);
                let near = self.enforced.near(&anchors).take(MAX_EXAMINED);
                near.filter_map(|rule| self.explain_rule(rule, &case)).collect()
            }
            None => Vec::new(),
        });
        policies.retain(|policy: &ExplainedPolicy| match policy.effect {
            Effect::Permit => policy.applies || !permitted,
            Effect::Forbid => policy.applies || policy.is_broken(),
        });
        policies.sort_by_key(|policy| {
            let decides = match policy.effect {
                Effect::Forbid => true,
                Effect::Permit => policy.applies && permitted,
            };
            (!decides, policy.failed().count(), policy.id.clone())
        });
        policies.truncate(MAX_POLICIES);
        Explanation { permitted, denial, policies }
    }

    /// `None` if the rule is about another action or resource.
    fn explain_rule(&self, rule: &Rule, case: &Case) -> Option<ExplainedPolicy> {
        if !is_about(&rule.policy, case) {
            return None;
        }
        let conditions = conditions(&rule.policy, case);
        Some(ExplainedPolicy {
            id: rule.annotations.id.clone(),
            effect: rule.effect,
            file: self.files.get(rule.file).map(|file| file.name.clone()).unwrap_or_default(),
            line: rule.position.line,
            notes: rule.annotations.notes.clone(),
            applies: conditions.iter().all(|condition| condition.verdict == Verdict::Holds),
            conditions,
        })
    }
}

/// Taking the longest accepted condition apart needs more stack than a runtime's thread has.
fn on_a_large_stack<T: Default + Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, work);
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
    })
}

fn is_about(policy: &Policy, case: &Case) -> bool {
    let action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => {
            actions.iter().any(|action| is_true(&format!("action == {action}"), case))
        }
        ActionConstraint::Eq(action) => is_true(&format!("action == {action}"), case),
    };
    action
        && match policy.resource_constraint() {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(resource) => case.request.resource() == Some(&resource),
            ResourceConstraint::In(group) => is_true(&format!("resource in {group}"), case),
            ResourceConstraint::Is(kind) => is_true(&format!("resource is {kind}"), case),
            ResourceConstraint::IsIn(kind, group) => is_true(&format!("resource is {kind} in {group}"), case),
        }
}
