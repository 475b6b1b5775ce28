//! Walks a syntax tree once: names, fields, functions, arities and shapes are checked, and what needs help
//! at evaluation is rewritten. The interpreter has no type checker of its own.

use std::collections::{BTreeMap, BTreeSet};

use cel::{
    IdedExpr,
    common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr},
};

use crate::{
    error::{CompileError, Problem},
    functions::Pattern,
    parse::{Parsed, Places},
    shape::Shape,
};

mod calls;
mod fields;
mod operators;
mod paths;

/// How deep a tree may be: evaluation recurses on the stack of a worker thread, 2 KB a level in a release build and
/// 40 KB in a debug build.
const MAX_DEPTH: usize = 24;
/// How many loops may stand inside one another.
const MAX_LOOPS: usize = 2;

/// A tree that may be evaluated.
pub(crate) struct Checked {
    pub(crate) expression: IdedExpr,
    pub(crate) shape: Shape,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) variables: BTreeSet<String>,
    pub(crate) references: BTreeSet<String>,
    pub(crate) whole: BTreeSet<String>,
}

/// What an expression of one place has to be, beyond being well formed.
#[derive(Clone, Copy)]
pub(crate) struct Demands {
    /// The path of a workload id.
    pub(crate) is_path: bool,
    /// With patterns that fit whole texts only.
    pub(crate) whole_matches: bool,
}

/// Checks and rewrites a tree against the declared variables.
pub(crate) fn check(
    parsed: Parsed,
    declared: &BTreeMap<String, Shape>,
    demands: Demands,
) -> Result<Checked, CompileError> {
    let Parsed { mut expression, places } = parsed;
    let mut checker = Checker {
        places: &places,
        declared,
        whole_matches: demands.whole_matches,
        locals: Vec::new(),
        depth: 0,
        loops: 0,
        patterns: Vec::new(),
        variables: BTreeSet::new(),
        references: BTreeSet::new(),
        whole: BTreeSet::new(),
        selected: false,
    };
    let shape = checker.infer(&mut expression)?;
    let Checker { patterns, variables, references, whole, .. } = checker;
    if demands.is_path {
        paths::guard(&mut expression, &places)?;
    }
    Ok(Checked { expression, shape, patterns, variables, references, whole })
}

struct Checker<'a> {
    places: &'a Places,
    declared: &'a BTreeMap<String, Shape>,
    whole_matches: bool,
    /// Loop variables and accumulators, innermost last.
    locals: Vec<(String, Shape)>,
    depth: usize,
    loops: usize,
    patterns: Vec<Pattern>,
    variables: BTreeSet<String>,
    references: BTreeSet<String>,
    /// Variables that are used otherwise than by a field.
    whole: BTreeSet<String>,
    /// Whether the next node is a variable of which one field is read.
    selected: bool,
}

impl Checker<'_> {
    /// The shape of a node, after checking and rewriting it.
    fn infer(&mut self, node: &mut IdedExpr) -> Result<Shape, CompileError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.places.error(node, Problem::TooDeep));
        }
        self.depth += 1;
        let shape = self.infer_inner(node);
        self.depth -= 1;
        shape
    }

    fn infer_inner(&mut self, node: &mut IdedExpr) -> Result<Shape, CompileError> {
        self.note_reference(&node.expr);
        let selected = std::mem::take(&mut self.selected);
        match &mut node.expr {
            Expr::Unspecified => Err(self.places.error(node, Problem::Internal)),
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Ok(Shape::Bool),
                LiteralValue::Int(_) => Ok(Shape::Int),
                LiteralValue::Double(_) => Ok(Shape::Double),
                LiteralValue::String(_) => Ok(Shape::String),
                LiteralValue::Null => Ok(Shape::Dynamic),
                LiteralValue::UInt(_) => Err(self.unsupported(node, "unsigned numbers are not used here")),
                LiteralValue::Bytes(_) => Err(self.unsupported(node, "bytes are not used here")),
            },
            Expr::Ident(name) => {
                let name = name.clone();
                if !selected {
                    self.whole.insert(name.clone());
                }
                self.variable(node, &name)
            }
            Expr::Select(_) => self.select(node),
            Expr::Call(_) => self.call(node),
            Expr::List(list) => {
                let mut element: Option<Shape> = None;
                for item in &mut list.elements {
                    let shape = self.infer(item)?;
                    element = Some(match element {
                        Some(common) if common != shape => Shape::Dynamic,
                        _ => shape,
                    });
                }
                Ok(Shape::list(element.unwrap_or(Shape::Dynamic)))
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        let key = self.infer(&mut entry.key)?;
                        self.need(&entry.key, "a map key", &Shape::String, &key)?;
                        self.infer(&mut entry.value)?;
                    }
                }
                Ok(Shape::map(Shape::Dynamic))
            }
            Expr::Struct(_) => Err(self.unsupported(node, "messages are not used here")),
            Expr::Comprehension(_) => self.comprehension(node),
        }
    }

    fn comprehension(&mut self, node: &mut IdedExpr) -> Result<Shape, CompileError> {
        let Expr::Comprehension(comprehension) = &mut node.expr else { return Ok(Shape::Dynamic) };
        let ComprehensionExpr {
            iter_range,
            iter_var,
            iter_var2,
            accu_var,
            accu_init,
            loop_cond,
            loop_step,
            result,
        } = &mut **comprehension;
        let element = match self.infer(iter_range)? {
            Shape::List(element) => *element,
            Shape::Map(_) | Shape::TotalMap(_) | Shape::Record(_) => Shape::String,
            Shape::Dynamic => Shape::Dynamic,
            found => {
                let what = "a loop".to_owned();
                let problem = Problem::WrongShape { what, expected: "a list or map".to_owned(), found };
                return Err(self.places.error(iter_range, problem));
            }
        };
        if self.loops >= MAX_LOOPS {
            return Err(self.places.error(iter_range, Problem::TooManyLoops));
        }
        if iter_var2.is_some() {
            return Err(self.unsupported(iter_range, "loops have one variable here"));
        }
        let hidden = self.declared.contains_key(iter_var) || self.locals.iter().any(|(n, _)| n == iter_var);
        if hidden {
            return Err(self.places.error(iter_range, Problem::Shadowed(iter_var.clone())));
        }
        let accumulator = self.infer(accu_init)?;
        self.locals.push((iter_var.clone(), element));
        self.locals.push((accu_var.clone(), accumulator));
        self.loops += 1;
        let inside = self
            .infer(loop_cond)
            .and_then(|_| self.infer(loop_step))
            .and_then(|step| Ok((step, self.infer(result)?)));
        self.loops -= 1;
        self.locals.truncate(self.locals.len().saturating_sub(2));
        let (step, result) = inside?;
        // A list that starts empty takes its element's shape from the step that fills it.
        Ok(if matches!(result, Shape::List(_)) { step } else { result })
    }

    fn need(&self, node: &IdedExpr, what: &str, expected: &Shape, found: &Shape) -> Result<(), CompileError> {
        if found.fits(expected) {
            return Ok(());
        }
        let (what, expected) = (what.to_owned(), expected.to_string());
        Err(self.places.error(node, Problem::WrongShape { what, expected, found: found.clone() }))
    }

    fn unsupported(&self, node: &IdedExpr, what: &'static str) -> CompileError {
        self.places.error(node, Problem::Unsupported(what))
    }

    /// Notes `a.b.c` when `a` is a declared variable.
    fn note_reference(&mut self, expr: &Expr) {
        if let Some(path) = dotted(expr) {
            let root = path.split('.').next().unwrap_or_default();
            if self.declared.contains_key(root) && !self.locals.iter().any(|(name, _)| name == root) {
                self.references.insert(path);
            }
        }
    }
}

/// `a.b.c` as text, when the expression is nothing but that.
pub(crate) fn dotted(expr: &Expr) -> Option<String> {
    let mut fields = Vec::new();
    let mut expr = expr;
    loop {
        match expr {
            Expr::Ident(name) => {
                fields.push(name.as_str());
                fields.reverse();
                return Some(fields.join("."));
            }
            Expr::Select(SelectExpr { operand, field, .. }) => {
                fields.push(field.as_str());
                expr = &operand.expr;
            }
            _ => return None,
        }
    }
}

/// The nearest of `known` to `name`, if it is near enough to be meant.
fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
