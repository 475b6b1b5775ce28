//! Calls: operators, and the functions of the list with their form and arguments.
//! A pattern is compiled here, once.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue},
};

use super::{Checker, nearest};
use crate::{
    error::{CompileError, Problem},
    functions::{FUNCTIONS, Function, MACROS, MATCHES, PATTERN_PREFIX, Pattern},
    shape::Shape,
};

impl Checker<'_> {
    pub(super) fn call(&mut self, node: &mut IdedExpr) -> Result<Shape, CompileError> {
        let Expr::Call(call) = &mut node.expr else { return Ok(Shape::Dynamic) };
        let mut shapes = Vec::with_capacity(call.args.len() + 1);
        let function = FUNCTIONS.iter().find(|function| function.name == call.func_name);
        if function.is_none() && call.target.is_some() {
            return Err(self.unknown_function(node));
        }
        if let Some(target) = &mut call.target {
            shapes.push(self.infer(target)?);
        }
        for argument in &mut call.args {
            shapes.push(self.infer(argument)?);
        }
        let Expr::Call(call) = &node.expr else { return Ok(Shape::Dynamic) };
        let Some(function) = function else {
            return self.operator(node, call, &shapes).unwrap_or_else(|| Err(self.unknown_function(node)));
        };
        let as_member = call.target.is_some();
        let allowed = if as_member { function.member } else { function.global };
        if !allowed || shapes.len() != function.arguments.len() {
            let (name, usage) = (function.name.to_owned(), function.usage);
            return Err(self.places.error(node, Problem::WrongCall { name, usage }));
        }
        self.arguments(node, call, function, &shapes)?;
        if function.name == "matches" {
            self.rewrite_pattern(node)?;
        }
        Ok(function.result.clone())
    }

    fn arguments(
        &self,
        node: &IdedExpr,
        call: &CallExpr,
        function: &Function,
        shapes: &[Shape],
    ) -> Result<(), CompileError> {
        let nodes = call.target.iter().map(|target| &**target).chain(&call.args);
        for ((argument, shape), accepts) in nodes.zip(shapes).zip(function.arguments) {
            if !accepts.takes(shape) {
                let what = format!("`{}`", function.name);
                let expected = accepts.describe().to_owned();
                let problem = Problem::WrongShape { what, expected, found: shape.clone() };
                let place = if argument.id == 0 { node } else { argument };
                return Err(self.places.error(place, problem));
            }
        }
        Ok(())
    }

    /// `text.matches("pattern")` becomes a call with the compiled pattern: a bad pattern is an error at load,
    /// and none is compiled at evaluation.
    fn rewrite_pattern(&mut self, node: &mut IdedExpr) -> Result<(), CompileError> {
        let Expr::Call(call) = &mut node.expr else { return Ok(()) };
        let Some(IdedExpr { id, expr: Expr::Literal(LiteralValue::String(text)) }) = call.args.first() else {
            return Err(self.unsupported(node, "the pattern of `matches` is written out as a text"));
        };
        if self.whole_matches && !Pattern::fits_whole_texts(text.inner()) {
            let problem = "the pattern of `matches` has to fit the whole text: begin it with `^`, end it with `$`, \
                           and put alternatives in parentheses, as in `^(a|b)$`";
            return Err(self.unsupported(node, problem));
        }
        let pattern = Pattern::compile(text.inner());
        let name = format!("{PATTERN_PREFIX}{}", self.patterns.len());
        let variable = IdedExpr { id: *id, expr: Expr::Ident(name) };
        let target = call.target.take().map(|target| *target);
        MATCHES.clone_into(&mut call.func_name);
        call.args = target.into_iter().chain([variable]).collect();
        let pattern = pattern.map_err(|error| self.places.error(node, Problem::Pattern(error)))?;
        self.patterns.push(pattern);
        Ok(())
    }

    fn unknown_function(&self, node: &IdedExpr) -> CompileError {
        let name = match &node.expr {
            Expr::Call(call) => call.func_name.clone(),
            _ => String::new(),
        };
        let problem = if let Some((_, usage)) = MACROS.iter().find(|(macro_name, _)| *macro_name == name) {
            Problem::WrongCall { name, usage }
        } else {
            let known = FUNCTIONS.iter().map(|function| function.name);
            let nearest = nearest(&name, known.chain(MACROS.iter().map(|(name, _)| *name)));
            Problem::UnknownFunction { name, nearest }
        };
        self.places.error(node, problem)
    }
}
