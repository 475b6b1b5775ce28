//! What a reviewer would ask about policies that are valid.
//! Not here: what makes them invalid (`compile`).

use cedar_policy::{Policy, PrincipalConstraint};
use serde::Serialize;

use crate::compile::Rule;
use crate::{Effect, PolicyId, PolicySet, Warning};

/// One thing that deserves a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub rule: Lint,
    /// The policy, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyId>,
    /// The file, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// One sentence.
    pub message: String,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lint {
    /// There are no policies.
    Empty,
    /// The policy can never apply.
    NeverApplies,
    /// Many policies name neither a resource nor a principal.
    LargeRemainder,
    /// A permit has no condition.
    NoCondition,
    /// Nobody says who can change the policy.
    NoOwner,
    /// A permit is for everybody: neither its head nor a condition speaks of the principal.
    AnyPrincipal,
}

impl Lint {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NeverApplies => "never_applies",
            Self::LargeRemainder => "large_remainder",
            Self::NoCondition => "no_condition",
            Self::NoOwner => "no_owner",
            Self::AnyPrincipal => "any_principal",
        }
    }
}

impl PolicySet {
    /// What a reviewer would ask about, in the order of files and lines; first what is about the set as a whole.
    #[must_use]
    pub fn lint(&self) -> Vec<Finding> {
        let of_set = self.warnings().iter().map(|found| Finding {
            rule: match found.warning {
                Warning::Empty => Lint::Empty,
                Warning::NeverApplies(_) => Lint::NeverApplies,
                Warning::LargeRemainder { .. } => Lint::LargeRemainder,
            },
            policy: None,
            file: found.file.clone(),
            line: found.position.map(|position| position.line),
            column: found.position.map(|position| position.column),
            message: found.warning.to_string(),
        });
        let mut findings: Vec<Finding> = of_set.collect();
        for rule in self.rules.values() {
            findings.extend(questions(rule).into_iter().map(|(lint, message)| Finding {
                rule: lint,
                policy: Some(rule.annotations.id.clone()),
                file: self.files.get(rule.file).map(|file| file.name.clone()),
                line: Some(rule.position.line),
                column: Some(rule.position.column),
                message: format!("`{}` {message}", rule.annotations.id),
            }));
        }
        findings.sort_by(|a, b| (&a.file, a.line, a.rule).cmp(&(&b.file, b.line, b.rule)));
        findings
    }
}

fn questions(rule: &Rule) -> Vec<(Lint, &'static str)> {
    let mut found = Vec::new();
    if rule.annotations.notes.owner.is_none() {
        found.push((Lint::NoOwner, "does not say by `@owner` who can change it"));
    }
    if rule.effect == Effect::Permit {
        let conditions = conditions(&rule.policy);
        if conditions.is_empty() {
            found.push((Lint::NoCondition, "permits without a condition"));
        }
        let named = !matches!(
            rule.policy.principal_constraint(),
            PrincipalConstraint::Any | PrincipalConstraint::Is(_)
        );
        // A token speaks for its subject, who is the principal of a call.
        let speaks =
            |condition: &String| ["principal", "context.token"].iter().any(|word| condition.contains(word));
        if !named && !conditions.iter().any(speaks) {
            found.push((Lint::AnyPrincipal, "permits everybody: nothing in it speaks of the principal"));
        }
    }
    found
}

fn conditions(policy: &Policy) -> Vec<String> {
    let Ok(syntax) = policy.to_pst() else { return Vec::new() };
    let text = |clause: &cedar_policy::pst::Clause| match clause {
        cedar_policy::pst::Clause::When(expression) | cedar_policy::pst::Clause::Unless(expression) => {
            expression.to_string()
        }
    };
    syntax.body().clauses().iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::PolicyFile;

    #[test]
    fn each_question_of_a_reviewer_is_asked_once_and_where_it_belongs() {
        let text = "@id(\"good\") @owner(\"me\") permit (principal in Symbolon::Group::\"a\", action, resource) when { context.key_bound };\n\
             @id(\"by-condition\") @owner(\"me\") permit (principal, action, resource) when { principal has unix };\n\
             @id(\"all\") permit (principal, action, resource);\n\
             @id(\"guard\") forbid (principal, action, resource);\n\
             @id(\"dead\") @owner(\"me\") permit (principal in Symbolon::Group::\"a\", action, resource) when { false };\n";
        let set = PolicySet::from_files(vec![PolicyFile::new("p.cedar", text)], &BTreeSet::new()).unwrap();
        let found: Vec<_> =
            set.lint().iter().map(|finding| (finding.line.unwrap(), finding.rule.as_str())).collect();
        assert_eq!(
            found,
            [
                (3, "no_condition"),
                (3, "no_owner"),
                (3, "any_principal"),
                (4, "no_owner"),
                (5, "never_applies")
            ]
        );
    }
}
