//! The variables that expressions of one place may name, and the functions that all may call.
//! Build one per place in the configuration; it is cheap to clone.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    check::{self, Checked, Demands},
    error::{CompileError, Problem},
    functions, parse,
    program::{Compiled, Program},
    shape::Shape,
};

/// Declared variables.
#[derive(Clone)]
pub struct Environment(Arc<Inner>);

struct Inner {
    variables: BTreeMap<String, Shape>,
    whole_matches: bool,
    env: Arc<cel::Env>,
}

/// Declares the variables of an [`Environment`].
#[derive(Clone, Debug, Default)]
pub struct EnvironmentBuilder {
    variables: BTreeMap<String, Shape>,
    whole_matches: bool,
}

impl EnvironmentBuilder {
    /// Declares a variable.
    #[must_use]
    pub fn declare(mut self, name: impl Into<String>, shape: Shape) -> Self {
        self.variables.insert(name.into(), shape);
        self
    }

    /// Takes only patterns that fit a whole text (`^…$`), for expressions that say who somebody is: `matches` looks
    /// for its pattern anywhere, and a name that merely holds another one must not pass for it.
    #[must_use]
    pub fn whole_matches(mut self) -> Self {
        self.whole_matches = true;
        self
    }

    /// The environment.
    #[must_use]
    pub fn build(self) -> Environment {
        let Self { variables, whole_matches } = self;
        Environment(Arc::new(Inner { variables, whole_matches, env: Arc::new(functions::environment()) }))
    }
}

impl Environment {
    /// Starts declaring.
    #[must_use]
    pub fn builder() -> EnvironmentBuilder {
        EnvironmentBuilder::default()
    }

    /// Compiles an expression of any result.
    ///
    /// # Errors
    /// Where and why the expression is refused: syntax, limits, unknown names, fields, functions or arities,
    /// values that can never fit.
    pub fn compile(&self, source: &str) -> Result<Program, CompileError> {
        self.compile_as(source, None, false)
    }

    /// Compiles a condition.
    ///
    /// # Errors
    /// As [`Environment::compile`], and when its result cannot be a bool.
    pub fn compile_bool(&self, source: &str) -> Result<Program, CompileError> {
        self.compile_as(source, Some(&Shape::Bool), false)
    }

    /// Compiles an expression for a text.
    ///
    /// # Errors
    /// As [`Environment::compile`], and when its result cannot be a text.
    pub fn compile_string(&self, source: &str) -> Result<Program, CompileError> {
        self.compile_as(source, Some(&Shape::String), false)
    }

    /// Compiles a mapping to the path of a workload id, such as `"k8s/ns/" + attested.namespace`, in which no
    /// attribute can pose as another: every attribute must be exactly one part of a segment (`[A-Za-z0-9._-]`,
    /// not `.` or `..`) when it is evaluated, unless it stands inside `path(…)`; two attributes need a `/`
    /// between them, and there is at most one `path(…)`.
    ///
    /// # Errors
    /// As [`Environment::compile_string`], and when parts could be confused.
    pub fn compile_path(&self, source: &str) -> Result<Program, CompileError> {
        self.compile_as(source, Some(&Shape::String), true)
    }

    fn compile_as(
        &self,
        source: &str,
        result: Option<&Shape>,
        is_path: bool,
    ) -> Result<Program, CompileError> {
        let Inner { variables, whole_matches, env } = &*self.0;
        parse::with_room(source, env, |parsed| {
            let demands = Demands { is_path, whole_matches: *whole_matches };
            let Checked { expression, shape, patterns, variables, references, whole } =
                check::check(parsed, variables, demands)?;
            if let Some(wanted) = result.filter(|wanted| !shape.fits(wanted)) {
                let problem = Problem::WrongShape {
                    what: "the expression".to_owned(),
                    expected: wanted.to_string(),
                    found: shape,
                };
                return Err(CompileError { position: parse::START, problem });
            }
            let env = Arc::clone(env);
            let source = source.to_owned();
            let compiled =
                Compiled { source, expression, shape, patterns, variables, references, whole, env };
            Ok(Program(Arc::new(compiled)))
        })
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Environment").field(&self.0.variables).finish()
    }
}
