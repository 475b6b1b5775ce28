//! A checked expression, ready to be evaluated many times from many threads.
//! An error is never a result: who evaluates must refuse.

use std::{collections::BTreeSet, fmt, sync::Arc};

use cel::{
    Context, ExecutionError, IdedExpr,
    common::{
        types::{CelBool, CelString},
        value::{CowVal, Val},
    },
    context::VariableResolver,
};

use crate::{
    bindings::Bindings,
    error::EvalError,
    functions::{PATTERN_PREFIX, Pattern},
    shape::Shape,
    value::Value,
};

const MAX_RESULT_BYTES: usize = 8 * 1024;

/// A checked expression.
#[derive(Clone)]
pub struct Program(pub(crate) Arc<Compiled>);

pub(crate) struct Compiled {
    pub(crate) source: String,
    pub(crate) expression: IdedExpr,
    pub(crate) shape: Shape,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) variables: BTreeSet<String>,
    pub(crate) references: BTreeSet<String>,
    pub(crate) whole: BTreeSet<String>,
    pub(crate) env: Arc<cel::Env>,
}

impl Program {
    /// The expression as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The shape of its result, as far as it can be told before it is evaluated.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The declared variables that it reads.
    #[must_use]
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.0.variables
    }

    /// The dotted paths that it reads, such as `request.headers`, as far as they are written as fields.
    #[must_use]
    pub fn references(&self) -> &BTreeSet<String> {
        &self.0.references
    }

    /// Whether it may read this field of a declared variable, by name or by using the variable as a whole; what it does
    /// not read need not be bound with its real value.
    #[must_use]
    pub fn reads(&self, variable: &str, field: &str) -> bool {
        let named = |path: &String| {
            let below = path.strip_prefix(variable).and_then(|rest| rest.strip_prefix('.'));
            below.is_some_and(|rest| rest.split('.').next() == Some(field))
        };
        self.0.whole.contains(variable) || self.0.references.iter().any(named)
    }

    /// Evaluates.
    ///
    /// # Errors
    /// When a variable is not bound, a key is absent or values do not fit: whatever was to be allowed is refused.
    pub fn eval(&self, bindings: &Bindings) -> Result<Value, EvalError> {
        self.resolve(bindings, |value| Ok(Value(to_static(value)?)))
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// As [`Program::eval`], and when the result is not a bool.
    pub fn eval_bool(&self, bindings: &Bindings) -> Result<bool, EvalError> {
        self.resolve(bindings, |value| {
            let flag = value.downcast_ref::<CelBool>().ok_or(EvalError::WrongResult("a bool"))?;
            Ok(*flag.inner())
        })
    }

    /// Evaluates to a text of at most 8 KiB.
    ///
    /// # Errors
    /// As [`Program::eval`], and when the result is not a text or too long.
    pub fn eval_string(&self, bindings: &Bindings) -> Result<String, EvalError> {
        self.resolve(bindings, |value| {
            let text = value.downcast_ref::<CelString<'_>>().ok_or(EvalError::WrongResult("a string"))?;
            if text.inner().len() > MAX_RESULT_BYTES {
                return Err(EvalError::TooLong);
            }
            Ok(text.inner().to_owned())
        })
    }

    fn resolve<R>(
        &self,
        bindings: &Bindings,
        result: impl FnOnce(&dyn Val) -> Result<R, EvalError>,
    ) -> Result<R, EvalError> {
        let Compiled { expression, variables, env, .. } = &*self.0;
        if let Some(name) = variables.iter().find(|name| bindings.value(name).is_none()) {
            return Err(EvalError::Unbound(name.clone()));
        }
        let scope = Scope { bindings, patterns: &self.0.patterns };
        let mut context = Context::with_env(Arc::clone(env));
        context.set_variable_resolver(&scope);
        let value = cel::Value::resolve_val(expression, &context).map_err(|error| self.explain(error))?;
        result(value.as_ref())
    }

    /// The interpreter's error without any value in it.
    fn explain(&self, error: ExecutionError) -> EvalError {
        use ExecutionError as E;
        match error {
            E::NoSuchKey(key) => {
                EvalError::Absent(self.0.source.contains(key.as_str()).then(|| key.to_string()))
            }
            E::FunctionError { function, message } if crate::functions::is_ours(&function) => {
                EvalError::Refused { function, reason: message }
            }
            E::FunctionError { function, .. } => {
                EvalError::Refused { function, reason: "the argument was refused".to_owned() }
            }
            E::NoSuchOverload(overload) => EvalError::Mismatch(operator_name(overload.function())),
            E::UnsupportedBinaryOperator(operator, ..) => EvalError::Mismatch(operator.to_owned()),
            E::UnexpectedType { .. } | E::ValuesNotComparable(..) | E::UnsupportedIndex(..) => {
                EvalError::Mismatch("the expression".to_owned())
            }
            E::DivisionByZero(_) | E::RemainderByZero(_) | E::Overflow(..) => EvalError::Arithmetic,
            E::IndexOutOfBounds(_) => EvalError::OutOfBounds,
            _ => EvalError::Failed,
        }
    }
}

/// How an operator of the syntax tree is written: `_==_` is `==`.
pub(crate) fn operator_name(internal: &str) -> String {
    match internal {
        "_[_]" => "[]".to_owned(),
        "_?_:_" => "?:".to_owned(),
        other => other.trim_matches(['_', '@']).to_owned(),
    }
}

fn to_static(value: &dyn Val) -> Result<Box<dyn Val>, EvalError> {
    // A bound value may be borrowed from the bindings; the owned copy goes by way of the owned enum.
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        if text.inner().len() > MAX_RESULT_BYTES {
            return Err(EvalError::TooLong);
        }
        return Ok(Box::new(CelString::from(text.inner().to_owned())));
    }
    let owned = cel::Value::try_from(value).map_err(|_| EvalError::WrongResult("a plain value"))?;
    owned.try_into().map_err(|_| EvalError::WrongResult("a plain value"))
}

struct Scope<'a> {
    bindings: &'a Bindings,
    patterns: &'a [Pattern],
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(index) = variable.strip_prefix(PATTERN_PREFIX) {
            let pattern = self.patterns.get(index.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(pattern));
        }
        Some(CowVal::Borrowed(self.bindings.value(variable)?.0.as_ref()))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.0.source).finish()
    }
}
