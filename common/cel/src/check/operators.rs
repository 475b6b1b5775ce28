//! Operators: which shapes they take and what they give.
//! Where a shape is not known, evaluation decides.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, operators as op},
};

use super::Checker;
use crate::{
    error::{CompileError, Problem},
    program::operator_name,
    shape::Shape,
};

impl Checker<'_> {
    /// The result of an operator over these operands; `None` if `name` is no operator.
    pub(super) fn operator(
        &self,
        node: &IdedExpr,
        call: &CallExpr,
        shapes: &[Shape],
    ) -> Option<Result<Shape, CompileError>> {
        let name = call.func_name.as_str();
        let result = match (name, shapes) {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT, operands) => {
                self.all_bool(name, call, operands).map(|()| Shape::Bool)
            }
            (op::NOT_STRICTLY_FALSE, _) => Ok(Shape::Bool),
            (op::CONDITIONAL, [condition, yes, no]) => self.conditional(call, condition, yes, no),
            (op::EQUALS | op::NOT_EQUALS, [left, right]) => self.comparable(node, name, left, right),
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [left, right]) => {
                self.orderable(node, name, left, right)
            }
            (op::IN, [element, container]) => self.contained(node, element, container),
            (op::INDEX, [container, key]) => self.indexed(node, container, key),
            (op::ADD, [left, right]) => self.sum(node, call, left, right),
            (op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [left, right]) => {
                self.arithmetic(node, name, left, right)
            }
            (op::NEGATE, [Shape::Int]) => Ok(Shape::Int),
            (op::NEGATE, [Shape::Double]) => Ok(Shape::Double),
            (op::NEGATE, [Shape::Dynamic]) => Ok(Shape::Dynamic),
            (op::NEGATE, [found]) => Err(self.places.error(
                node,
                Problem::WrongShape {
                    what: "`-`".to_owned(),
                    expected: "a number".to_owned(),
                    found: found.clone(),
                },
            )),
            (op::OPT_INDEX | op::OPT_SELECT, _) => {
                Err(self.unsupported(node, "optional values are not used here"))
            }
            _ => return None,
        };
        Some(result)
    }

    fn all_bool(&self, name: &str, call: &CallExpr, operands: &[Shape]) -> Result<(), CompileError> {
        let what = format!("`{}`", operator_name(name));
        call.args
            .iter()
            .zip(operands)
            .try_for_each(|(node, shape)| self.need(node, &what, &Shape::Bool, shape))
    }

    fn conditional(
        &self,
        call: &CallExpr,
        condition: &Shape,
        yes: &Shape,
        no: &Shape,
    ) -> Result<Shape, CompileError> {
        if let Some(node) = call.args.first() {
            self.need(node, "`?:`", &Shape::Bool, condition)?;
        }
        Ok(if yes == no { yes.clone() } else { Shape::Dynamic })
    }

    fn comparable(
        &self,
        node: &IdedExpr,
        name: &str,
        left: &Shape,
        right: &Shape,
    ) -> Result<Shape, CompileError> {
        // A total map is equal to nothing in the interpreter: its entries are compared instead.
        let total = |shape: &Shape| matches!(shape, Shape::TotalMap(_));
        if !left.fits(right) || total(left) || total(right) {
            return Err(self.mismatch(node, name, left, right));
        }
        Ok(Shape::Bool)
    }

    fn orderable(
        &self,
        node: &IdedExpr,
        name: &str,
        left: &Shape,
        right: &Shape,
    ) -> Result<Shape, CompileError> {
        let ordered =
            |shape: &Shape| matches!(shape, Shape::Int | Shape::Double | Shape::String | Shape::Dynamic);
        if !ordered(left) || !ordered(right) {
            return Err(self.mismatch(node, name, left, right));
        }
        self.comparable(node, name, left, right)
    }

    fn contained(&self, node: &IdedExpr, element: &Shape, container: &Shape) -> Result<Shape, CompileError> {
        let fits = match container {
            Shape::List(inner) => element.fits(inner),
            Shape::Map(_) | Shape::TotalMap(_) | Shape::Record(_) => element.fits(&Shape::String),
            Shape::Dynamic => true,
            Shape::String | Shape::Bool | Shape::Int | Shape::Double => false,
        };
        if fits { Ok(Shape::Bool) } else { Err(self.mismatch(node, op::IN, element, container)) }
    }

    fn indexed(&self, node: &IdedExpr, container: &Shape, key: &Shape) -> Result<Shape, CompileError> {
        let (fits, result) = match container {
            Shape::List(inner) => (key.fits(&Shape::Int), (**inner).clone()),
            Shape::Map(value) => (key.fits(&Shape::String), (**value).clone()),
            Shape::TotalMap(_) => (key.fits(&Shape::String), Shape::String),
            Shape::Dynamic => (true, Shape::Dynamic),
            Shape::Record(_) => {
                return Err(self.unsupported(node, "a record's fields are read as `record.field`"));
            }
            Shape::String | Shape::Bool | Shape::Int | Shape::Double => (false, Shape::Dynamic),
        };
        if fits { Ok(result) } else { Err(self.mismatch(node, op::INDEX, container, key)) }
    }

    fn sum(
        &self,
        node: &IdedExpr,
        call: &CallExpr,
        left: &Shape,
        right: &Shape,
    ) -> Result<Shape, CompileError> {
        match (left, right) {
            (Shape::String, Shape::String | Shape::Dynamic) | (Shape::Dynamic, Shape::String) => {
                Ok(Shape::String)
            }
            // Only the loops that the parser writes add to a list: joining lists inside loops would let
            // the work grow with the cube of the input.
            (Shape::List(_), Shape::List(_)) if is_accumulator(call) => Ok(right.clone()),
            (Shape::List(_), _) | (_, Shape::List(_)) => {
                Err(self.unsupported(node, "lists are not joined here"))
            }
            _ => self.arithmetic(node, op::ADD, left, right),
        }
    }

    fn arithmetic(
        &self,
        node: &IdedExpr,
        name: &str,
        left: &Shape,
        right: &Shape,
    ) -> Result<Shape, CompileError> {
        match (left, right) {
            (Shape::Int, Shape::Int | Shape::Dynamic) | (Shape::Dynamic, Shape::Int) => Ok(Shape::Int),
            (Shape::Double, Shape::Double | Shape::Dynamic) | (Shape::Dynamic, Shape::Double) => {
                Ok(Shape::Double)
            }
            (Shape::Dynamic, Shape::Dynamic) => Ok(Shape::Dynamic),
            _ => Err(self.mismatch(node, name, left, right)),
        }
    }

    fn mismatch(&self, node: &IdedExpr, name: &str, left: &Shape, right: &Shape) -> CompileError {
        let (left, right) = (left.clone(), right.clone());
        self.places.error(node, Problem::Mismatch { operator: operator_name(name), left, right })
    }
}

fn is_accumulator(call: &CallExpr) -> bool {
    matches!(call.args.first(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name.starts_with('@'))
}
