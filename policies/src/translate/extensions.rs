//! Values of Cedar's extension types.
//! Not here: what they mean. Cedar's own constructors parse the function's name each time, which costs more than the
//! rest of a decision; here it is parsed once.

use cedar_policy::RestrictedExpression as Value;
use cedar_policy_core::ast::{Name, RestrictedExpr};

use crate::PolicyErrors;
use crate::compile::engine;

/// The functions that make values of extension types.
#[derive(Debug)]
pub(crate) struct Extensions {
    datetime: Name,
    duration: Name,
    ip: Name,
}

impl Extensions {
    pub(crate) fn new() -> Result<Self, PolicyErrors> {
        let name = |name: &str| Name::parse_unqualified_name(name).map_err(|error| engine(&error));
        Ok(Self { datetime: name("datetime")?, duration: name("duration")?, ip: name("ip")? })
    }

    /// A point in time, written as RFC 3339.
    pub(super) fn datetime(&self, text: &str) -> Value {
        call(&self.datetime, text)
    }

    /// Whole seconds.
    pub(super) fn duration(&self, seconds: u64) -> Value {
        call(&self.duration, &format!("{seconds}s"))
    }

    /// An address.
    pub(super) fn ip(&self, text: &str) -> Value {
        call(&self.ip, text)
    }
}

fn call(function: &Name, text: &str) -> Value {
    RestrictedExpr::call_extension_fn(function.clone(), [RestrictedExpr::val(text)]).into()
}
