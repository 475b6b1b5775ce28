//! Mappings to the path of a workload id: no attribute may pose as another.
//! Whether the finished path is a valid id is for its type to say.

use cel::{
    IdedExpr,
    common::ast::{
        CallExpr, Expr, LiteralValue,
        operators::{ADD, CONDITIONAL},
    },
};

use crate::{
    error::{CompileError, Problem},
    functions::{ABSOLUTE_PATH, PATH, SEGMENT, is_segment_byte},
    parse::Places,
};

/// Wraps every attribute of a chain of `+` so that it can only be one part of one segment, and refuses chains in
/// which two different sets of attributes could give the same path.
pub(super) fn guard(node: &mut IdedExpr, places: &Places) -> Result<(), CompileError> {
    let mut chain = Chain { places, separated: true, paths: 0 };
    chain.walk(node)
}

struct Chain<'a> {
    places: &'a Places,
    /// Whether a `/` stands between the last attribute and here.
    separated: bool,
    paths: usize,
}

impl Chain<'_> {
    fn walk(&mut self, node: &mut IdedExpr) -> Result<(), CompileError> {
        match &mut node.expr {
            Expr::Call(CallExpr { func_name, args, .. }) if func_name == ADD => {
                args.iter_mut().try_for_each(|part| self.walk(part))
            }
            Expr::Literal(LiteralValue::String(text)) => {
                if !text.inner().bytes().all(|byte| byte == b'/' || is_segment_byte(byte)) {
                    let problem = "a path is made of letters, digits, `.`, `_`, `-` and `/`";
                    return Err(self.places.error(node, Problem::AmbiguousPath(problem)));
                }
                self.separated |= text.inner().contains('/');
                Ok(())
            }
            Expr::Call(CallExpr { func_name, args, .. }) if func_name == CONDITIONAL => {
                let mut branches = self.paths;
                for branch in args.iter_mut().skip(1) {
                    let mut chain = Chain { places: self.places, separated: true, paths: self.paths };
                    chain.walk(branch)?;
                    branches = branches.max(chain.paths);
                }
                self.paths = branches;
                self.attribute(node)
            }
            Expr::Call(CallExpr { func_name, .. }) if func_name == PATH || func_name == ABSOLUTE_PATH => {
                self.paths += 1;
                if self.paths > 1 {
                    let problem =
                        "with two `path(…)` in one mapping, different attributes could give one path";
                    return Err(self.places.error(node, Problem::AmbiguousPath(problem)));
                }
                self.attribute(node)
            }
            _ => {
                self.attribute(node)?;
                let inner = std::mem::take(node);
                let id = inner.id;
                let call = CallExpr { func_name: SEGMENT.to_owned(), target: None, args: vec![inner] };
                *node = IdedExpr { id, expr: Expr::Call(call) };
                Ok(())
            }
        }
    }

    fn attribute(&mut self, node: &IdedExpr) -> Result<(), CompileError> {
        if !self.separated {
            let problem = "two attributes in one path segment could be confused: put a `/` between them";
            return Err(self.places.error(node, Problem::AmbiguousPath(problem)));
        }
        self.separated = false;
        Ok(())
    }
}
