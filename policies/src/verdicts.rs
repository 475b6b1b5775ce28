//! From the policies that have something to say about a case to the one decision.
//! Not here: finding those policies (`set`).

use std::collections::BTreeSet;

use crate::compile::Rule;
use crate::{Decision, Denial, DenialKind, Effect, Permit, PolicyId, Shadow};

/// The rules that had something to say about a case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdicts<'a> {
    pub(crate) permits: Vec<&'a Rule>,
    pub(crate) forbids: Vec<&'a Rule>,
    pub(crate) errors: Vec<&'a Rule>,
}

impl<'a> Verdicts<'a> {
    /// The decision of the rules that are enforced, with what the shadow rules would have made of it.
    pub(crate) fn decide(self, shadow: Self) -> Decision {
        let mut decision = self.decide_alone();
        if !shadow.permits.is_empty() || !shadow.forbids.is_empty() || !shadow.errors.is_empty() {
            decision.set_shadow(would(&decision, self.joined(shadow).decide_alone()));
        }
        decision
    }

    fn joined(mut self, other: Self) -> Self {
        self.permits.extend(other.permits);
        self.forbids.extend(other.forbids);
        self.errors.extend(other.errors);
        self
    }

    fn decide_alone(&self) -> Decision {
        let errors = ids(&self.errors);
        let failed_forbids: Vec<&'a Rule> =
            self.errors.iter().copied().filter(|rule| rule.effect == Effect::Forbid).collect();
        let (kind, rules) = if !self.forbids.is_empty() {
            (DenialKind::Forbidden, self.forbids.as_slice())
        } else if !failed_forbids.is_empty() {
            (DenialKind::Error, failed_forbids.as_slice())
        } else if self.permits.is_empty() {
            (DenialKind::NoPermit, [].as_slice())
        } else {
            return Decision::Permit(Permit {
                policies: ids(&self.permits),
                ceiling: self.permits.iter().filter_map(|rule| rule.annotations.ttl).min(),
                max_actors: self.permits.iter().filter_map(|rule| rule.annotations.max_actors).min(),
                errors,
                shadow: None,
            });
        };
        let first = rules.iter().min_by_key(|rule| &rule.annotations.id);
        let notes = Box::new(first.map(|rule| rule.annotations.notes.clone()).unwrap_or_default());
        Decision::Denial(Denial { kind, policies: ids(rules), errors, notes, shadow: None })
    }
}

/// What would be otherwise; none if the answer would be the same.
fn would(decision: &Decision, other: Decision) -> Option<Shadow> {
    match (decision, other) {
        (Decision::Permit(_), Decision::Denial(denial)) => {
            Some(Shadow::WouldDeny { kind: denial.kind, policies: denial.policies })
        }
        (Decision::Denial(_), Decision::Permit(permit)) => {
            Some(Shadow::WouldPermit { policies: permit.policies })
        }
        (Decision::Permit(_), Decision::Permit(_)) | (Decision::Denial(_), Decision::Denial(_)) => None,
    }
}

fn ids(rules: &[&Rule]) -> Vec<PolicyId> {
    let ids: BTreeSet<_> = rules.iter().map(|rule| rule.annotations.id.clone()).collect();
    ids.into_iter().collect()
}
