//! A policy's condition, taken apart into pieces that hold or fail by themselves.
//! Not here: choosing the policies that are worth explaining (`explain`).

mod sides;

use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Clause, Expr, UnaryOp};
use cedar_policy::{EvalResult, Expression, Policy, PrincipalConstraint, eval_expression};

use crate::translate::Case;
use crate::{Condition, Verdict};
use sides::{Sides, memberships, shown, value};

/// All conditions of a policy in the order in which Cedar looks at them.
pub(crate) fn conditions(policy: &Policy, case: &Case) -> Vec<Condition> {
    let mut conditions: Vec<_> =
        principal(&policy.principal_constraint()).map(|scope| head(&scope, case)).into_iter().collect();
    match policy.to_pst() {
        Ok(syntax) => {
            let parts = syntax.body().clauses().iter().flat_map(split);
            conditions.extend(parts.map(|part| part.examine(case)));
        }
        Err(error) => conditions.push(Condition {
            text: "when { … }".to_owned(),
            verdict: Verdict::Error(error.to_string()),
            expected: None,
            actual: None,
            about: None,
        }),
    }
    hide_unreached(&mut conditions);
    conditions
}

/// Whether an expression over the case is true; an error is not.
pub(crate) fn is_true(text: &str, case: &Case) -> bool {
    evaluate(text, case) == Ok(EvalResult::Bool(true))
}

fn principal(scope: &PrincipalConstraint) -> Option<String> {
    match scope {
        PrincipalConstraint::Any => None,
        PrincipalConstraint::In(group) => Some(format!("principal in {group}")),
        PrincipalConstraint::Eq(id) => Some(format!("principal == {id}")),
        PrincipalConstraint::Is(kind) => Some(format!("principal is {kind}")),
        PrincipalConstraint::IsIn(kind, group) => Some(format!("principal is {kind} in {group}")),
    }
}

/// The principal's part of the scope, as a condition like any other.
fn head(text: &str, case: &Case) -> Condition {
    let (expected, actual) = match text.rsplit_once(" in ") {
        Some((_, group)) => (shown(group), memberships(case)),
        None => (shown(text.trim_start_matches("principal ")), value("principal", case)),
    };
    Condition {
        text: text.to_owned(),
        verdict: verdict(text, true, case),
        expected: Some(expected),
        actual: Some(actual),
        about: Some("principal".to_owned()),
    }
}

/// Cedar stops at the first condition that fails: an error after it never happens, and a condition that is guarded by
/// the one that fails makes sense only if it can be evaluated all the same.
fn hide_unreached(conditions: &mut [Condition]) {
    let mut failed = false;
    for condition in conditions {
        match condition.verdict {
            Verdict::Fails => failed = true,
            Verdict::Error(_) if failed => condition.verdict = Verdict::NotReached,
            Verdict::Error(_) | Verdict::Holds | Verdict::NotReached => {}
        }
    }
}

/// One piece of a condition and the value that it must have.
struct Part {
    expression: Arc<Expr>,
    wanted: bool,
}

/// How the pieces of a condition belong together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Junction {
    /// Each has to be as wanted.
    All,
    /// One of them has to be.
    Any,
}

fn split(clause: &Clause) -> Vec<Part> {
    let (expression, wanted) = match clause {
        Clause::When(expression) => (expression, true),
        Clause::Unless(expression) => (expression, false),
    };
    Part { expression: Arc::clone(expression), wanted }.pieces(Junction::All)
}

impl Part {
    /// Takes a condition apart as far as its pieces belong together in one way; does not recurse, because conditions
    /// can be deep. What must be false turns `&&` into `||` and the other way round.
    fn pieces(self, junction: Junction) -> Vec<Self> {
        let (mut open, mut pieces) = (vec![self], Vec::new());
        while let Some(part) = open.pop() {
            match &*part.expression {
                Expr::BinaryOp { op: op @ (BinaryOp::And | BinaryOp::Or), left, right }
                    if ((*op == BinaryOp::And) == part.wanted) == (junction == Junction::All) =>
                {
                    let wanted = part.wanted;
                    open.push(Self { expression: Arc::clone(right), wanted });
                    open.push(Self { expression: Arc::clone(left), wanted });
                }
                Expr::UnaryOp { op: UnaryOp::Not, expr } => {
                    open.push(Self { expression: Arc::clone(expr), wanted: !part.wanted });
                }
                _ => pieces.push(part),
            }
        }
        pieces
    }

    fn examine(self, case: &Case) -> Condition {
        let text = self.text();
        let verdict = verdict(&self.expression.to_string(), self.wanted, case);
        let Sides { expected, actual, about } = self.sides(case);
        Condition { text, verdict, expected, actual, about }
    }

    fn text(&self) -> String {
        let text = self.expression.to_string();
        if self.wanted { text } else { format!("!({text})") }
    }
}

fn verdict(text: &str, wanted: bool, case: &Case) -> Verdict {
    match evaluate(text, case) {
        Ok(EvalResult::Bool(actual)) if actual == wanted => Verdict::Holds,
        Ok(EvalResult::Bool(_)) => Verdict::Fails,
        Ok(other) => Verdict::Error(format!("is {other}, not true or false")),
        Err(message) => Verdict::Error(message),
    }
}

fn evaluate(text: &str, case: &Case) -> Result<EvalResult, String> {
    let expression = Expression::from_str(text).map_err(|error| error.to_string())?;
    eval_expression(&case.request, &case.entities, &expression).map_err(|error| error.to_string())
}
