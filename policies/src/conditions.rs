//! A policy's condition, taken apart into pieces that hold or fail by themselves.
//! Not here: choosing the policies that are worth explaining (`explain`).

use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Clause, Expr, PatternElem, UnaryOp, Var};
use cedar_policy::{EvalResult, Expression, Policy, PrincipalConstraint, eval_expression};

use crate::translate::Case;
use crate::{Condition, Verdict};

/// Longer values are cut: they are for people.
const MAX_SHOWN_CHARS: usize = 256;

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
    }
}

/// A condition after one that fails makes sense only if it can be evaluated all the same.
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

/// Takes `&&` apart, and `||` where the whole must be false; does not recurse, because conditions can be deep.
fn split(clause: &Clause) -> Vec<Part> {
    let (expression, wanted) = match clause {
        Clause::When(expression) => (expression, true),
        Clause::Unless(expression) => (expression, false),
    };
    let (mut open, mut parts) = (vec![Part { expression: Arc::clone(expression), wanted }], Vec::new());
    while let Some(part) = open.pop() {
        match (&*part.expression, part.wanted) {
            (Expr::BinaryOp { op: BinaryOp::And, left, right }, true)
            | (Expr::BinaryOp { op: BinaryOp::Or, left, right }, false) => {
                let wanted = part.wanted;
                open.push(Part { expression: Arc::clone(right), wanted });
                open.push(Part { expression: Arc::clone(left), wanted });
            }
            (Expr::UnaryOp { op: UnaryOp::Not, expr }, wanted) => {
                open.push(Part { expression: Arc::clone(expr), wanted: !wanted });
            }
            _ => parts.push(part),
        }
    }
    parts
}

impl Part {
    fn examine(&self, case: &Case) -> Condition {
        let text = self.expression.to_string();
        let verdict = verdict(&text, self.wanted, case);
        let (expected, actual) = self.sides(case).unzip();
        let not = |expected: String| if self.wanted { expected } else { format!("not {expected}") };
        Condition {
            text: if self.wanted { text } else { format!("!({text})") },
            verdict,
            expected: expected.map(not),
            actual,
        }
    }

    /// What the piece compares with, and what the case says instead; none if it does not compare.
    fn sides(&self, case: &Case) -> Option<(String, String)> {
        let whole = || presence(is_true(&self.expression.to_string(), case));
        let sides = match &*self.expression {
            Expr::BinaryOp { op: BinaryOp::And | BinaryOp::Or, .. } | Expr::IfThenElse { .. } => return None,
            Expr::BinaryOp { op: BinaryOp::In, left, right }
                if matches!(&**left, Expr::Var(Var::Principal)) =>
            {
                (shown(&right.to_string()), memberships(case))
            }
            Expr::BinaryOp { op: BinaryOp::HasTag, left, right } => {
                (format!("tag {right} on {left}"), whole())
            }
            Expr::BinaryOp { op, left, right } => comparison(*op, left, right, case),
            Expr::HasAttr { .. } => ("present".to_owned(), whole()),
            Expr::Like { expr, pattern } => {
                (format!("like \"{}\"", pattern_text(pattern)), value(&expr.to_string(), case))
            }
            Expr::Is { expr, entity_type, .. } => {
                (format!("a {entity_type}"), value(&expr.to_string(), case))
            }
            Expr::UnaryOp { op, expr } => (format!("{op}()"), value(&expr.to_string(), case)),
            other => ("true".to_owned(), value(&other.to_string(), case)),
        };
        Some(sides)
    }
}

fn comparison(op: BinaryOp, left: &Expr, right: &Expr, case: &Case) -> (String, String) {
    let turned = is_constant(left) && !is_constant(right);
    let (constant, variable) = if turned { (left, right) } else { (right, left) };
    let wanted =
        if is_constant(constant) { shown(&constant.to_string()) } else { value(&constant.to_string(), case) };
    let expected = match op {
        BinaryOp::Eq => wanted,
        BinaryOp::Contains if turned => format!("one of {wanted}"),
        // `5 < x`: the value stands on the right.
        op if turned && op != BinaryOp::NotEq => format!("{wanted} {op} it"),
        op => format!("{op} {wanted}"),
    };
    (expected, value(&variable.to_string(), case))
}

fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(_) => true,
        Expr::Set(elements) => elements.iter().all(|element| is_constant(element)),
        Expr::UnaryOp { expr, .. } => is_constant(expr),
        _ => false,
    }
}

fn pattern_text(pattern: &[PatternElem]) -> String {
    let piece = |element: &PatternElem| match element {
        PatternElem::Wildcard => "*".to_owned(),
        PatternElem::Char('*') => "\\*".to_owned(),
        PatternElem::Char(other) => other.to_string(),
    };
    pattern.iter().map(piece).collect()
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

/// The value of an expression; what cannot be evaluated is not there.
fn value(text: &str, case: &Case) -> String {
    evaluate(text, case).map_or_else(|_| presence(false), |value| shown(&value.to_string()))
}

fn presence(present: bool) -> String {
    if present { "present" } else { "absent" }.to_owned()
}

/// The groups that the principal is in.
fn memberships(case: &Case) -> String {
    let ancestors = case.request.principal().and_then(|principal| case.entities.ancestors(principal));
    let mut groups: Vec<_> = ancestors.into_iter().flatten().map(ToString::to_string).collect();
    groups.sort();
    if groups.is_empty() { "no group".to_owned() } else { shown(&groups.join(", ")) }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
