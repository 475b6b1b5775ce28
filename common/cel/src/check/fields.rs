//! Variables and fields: `x`, `x.y`, `has(x.y)`.
//! Indexing by an expression is an operator.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, operators::IN},
};

use super::{Checker, dotted, nearest};
use crate::{
    error::{CompileError, Problem},
    shape::Shape,
};

impl Checker<'_> {
    /// The shape of a variable, which must be declared here or by a loop.
    pub(super) fn variable(&mut self, node: &IdedExpr, name: &str) -> Result<Shape, CompileError> {
        if let Some((_, shape)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return Ok(shape.clone());
        }
        if let Some(shape) = self.declared.get(name) {
            self.variables.insert(name.to_owned());
            return Ok(shape.clone());
        }
        let locals =
            self.locals.iter().map(|(local, _)| local.as_str()).filter(|name| !name.starts_with('@'));
        let known = self.declared.keys().map(String::as_str).chain(locals);
        let problem = Problem::UnknownVariable { name: name.to_owned(), nearest: nearest(name, known) };
        Err(self.places.error(node, problem))
    }

    /// The shape of a field, which must be declared; a test for a key of a total map becomes `"key" in map`,
    /// because every key of such a map can be read.
    pub(super) fn select(&mut self, node: &mut IdedExpr) -> Result<Shape, CompileError> {
        let Expr::Select(select) = &mut node.expr else { return Ok(Shape::Dynamic) };
        let (test, field) = (select.test, select.field.clone());
        self.selected = matches!(select.operand.expr, Expr::Ident(_));
        let operand = self.infer(&mut select.operand)?;
        let found = match operand {
            Shape::Record(mut fields) => fields.remove(&field).ok_or_else(|| {
                let of = dotted(&select.operand.expr).unwrap_or_else(|| "the record".to_owned());
                let nearest = nearest(&field, fields.keys().map(String::as_str));
                Problem::UnknownField { name: field.clone(), of, nearest }
            }),
            Shape::Map(value) => Ok(*value),
            Shape::Dynamic => Ok(Shape::Dynamic),
            Shape::TotalMap(_) if !test => Ok(Shape::String),
            Shape::TotalMap(_) => {
                let map = std::mem::take(&mut *select.operand);
                let key = IdedExpr { id: node.id, expr: Expr::Literal(LiteralValue::String(field.into())) };
                let args = vec![key, map];
                node.expr = Expr::Call(CallExpr { func_name: IN.to_owned(), target: None, args });
                return Ok(Shape::Bool);
            }
            found => {
                let what = format!("the field `{field}`");
                Err(Problem::WrongShape { what, expected: "a record or map".to_owned(), found })
            }
        };
        let shape = found.map_err(|problem| self.places.error(node, problem))?;
        Ok(if test { Shape::Bool } else { shape })
    }
}
