//! What a piece of a condition wants, what the case says instead, and of what it speaks.
//! Not here: whether the piece holds.

use std::sync::Arc;

use cedar_policy::pst::{BinaryOp, Expr, PatternElem, Var};

use super::{Junction, Part, evaluate, is_true};
use crate::translate::Case;

/// Longer values are cut: they are for people.
const MAX_SHOWN_CHARS: usize = 256;
/// So many alternatives of one condition are shown.
const MAX_ALTERNATIVES: usize = 8;

/// The sides of a comparison, as texts for people; nothing if the piece compares nothing.
#[derive(Default)]
pub(super) struct Sides {
    /// What would make it hold.
    pub(super) expected: Option<String>,
    /// What the case says.
    pub(super) actual: Option<String>,
    /// The attribute that it speaks of.
    pub(super) about: Option<String>,
}

impl Sides {
    fn of(expected: String, actual: String, about: &Expr) -> Self {
        Self { expected: Some(expected), actual: Some(actual), about: attribute(about) }
    }
}

impl Part {
    pub(super) fn sides(&self, case: &Case) -> Sides {
        let whole = || presence(is_true(&self.expression.to_string(), case));
        let mut sides = match &*self.expression {
            Expr::BinaryOp { op: BinaryOp::And | BinaryOp::Or, .. } => return self.alternatives(case),
            Expr::IfThenElse { .. } => return Sides::default(),
            Expr::BinaryOp { op: BinaryOp::In, left, right }
                if matches!(&**left, Expr::Var(Var::Principal)) =>
            {
                Sides::of(shown(&right.to_string()), memberships(case), left)
            }
            Expr::BinaryOp { op: BinaryOp::HasTag, left, right } => {
                Sides::of(format!("tag {right} on {left}"), whole(), left)
            }
            Expr::BinaryOp { op, left, right } => comparison(*op, left, right, case),
            Expr::HasAttr { expr, attrs } => {
                let path: Vec<&str> = attrs.iter().map(AsRef::as_ref).collect();
                let about = attribute(expr).map(|base| format!("{base}.{}", path.join(".")));
                Sides { about, ..Sides::of("present".to_owned(), whole(), expr) }
            }
            Expr::Like { expr, pattern } => {
                let expected = format!("like \"{}\"", pattern_text(pattern));
                Sides::of(expected, value(&expr.to_string(), case), expr)
            }
            Expr::Is { expr, entity_type, in_expr: None } => {
                Sides::of(format!("a {entity_type}"), value(&expr.to_string(), case), expr)
            }
            Expr::Is { expr, entity_type, in_expr: Some(group) } => {
                Sides::of(format!("a {entity_type} in {group}"), memberships(case), expr)
            }
            Expr::UnaryOp { op, expr } => Sides::of(format!("{op}()"), value(&expr.to_string(), case), expr),
            other => Sides::of("true".to_owned(), value(&other.to_string(), case), other),
        };
        if !self.wanted {
            sides.expected = sides.expected.map(|expected| format!("not {expected}"));
        }
        sides
    }

    /// A choice: what each of its pieces wants, and what they see.
    fn alternatives(&self, case: &Case) -> Sides {
        let whole = Self { expression: Arc::clone(&self.expression), wanted: self.wanted };
        let (mut expected, mut actual, mut about) = (Vec::new(), Vec::new(), None);
        for piece in whole.pieces(Junction::Any).iter().take(MAX_ALTERNATIVES) {
            expected.push(piece.text());
            // What is itself a combination is shown as a whole: its pieces would not say how they belong together.
            if !matches!(&*piece.expression, Expr::BinaryOp { op: BinaryOp::And | BinaryOp::Or, .. }) {
                let sides = piece.sides(case);
                if let (Some(name), Some(value)) = (&sides.about, &sides.actual) {
                    actual.push(format!("{name} is {value}"));
                }
                about = about.or(sides.about);
            }
        }
        actual.dedup();
        let some =
            |parts: Vec<String>, separator: &str| (!parts.is_empty()).then(|| shown(&parts.join(separator)));
        Sides { expected: some(expected, " or "), actual: some(actual, "; "), about }
    }
}

fn comparison(op: BinaryOp, left: &Expr, right: &Expr, case: &Case) -> Sides {
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
    Sides::of(expected, value(&variable.to_string(), case), variable)
}

fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(_) => true,
        Expr::Set(elements) => elements.iter().all(|element| is_constant(element)),
        Expr::UnaryOp { expr, .. } => is_constant(expr),
        _ => false,
    }
}

/// The attribute, tag or variable that an expression reads, such as `principal.unix.uid`; none if it reads none or
/// does something with it.
fn attribute(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Var(Var::Principal) => Some("principal".to_owned()),
        Expr::Var(Var::Resource) => Some("resource".to_owned()),
        Expr::Var(Var::Context) => Some("context".to_owned()),
        Expr::GetAttr { expr, attr } => attribute(expr).map(|base| format!("{base}.{attr}")),
        Expr::BinaryOp { op: BinaryOp::GetTag | BinaryOp::HasTag, left, right } => {
            attribute(left).map(|base| format!("{base}[{right}]"))
        }
        Expr::UnaryOp { expr, .. } => attribute(expr),
        _ => None,
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

/// The value of an expression; what cannot be evaluated is not there.
pub(super) fn value(text: &str, case: &Case) -> String {
    evaluate(text, case).map_or_else(|_| presence(false), |value| shown(&value.to_string()))
}

fn presence(present: bool) -> String {
    if present { "present" } else { "absent" }.to_owned()
}

/// The groups that the principal is in.
pub(super) fn memberships(case: &Case) -> String {
    let ancestors = case.request.principal().and_then(|principal| case.entities.ancestors(principal));
    let mut groups: Vec<_> = ancestors.into_iter().flatten().map(ToString::to_string).collect();
    groups.sort();
    if groups.is_empty() { "no group".to_owned() } else { shown(&groups.join(", ")) }
}

pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
