//! JSON patches (RFC 6902), as far as we make them.
//! They are applied by a crate that is not ours, in the command and in tests.

use serde::Serialize;
use serde_json::Value;

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Adds a field, or inserts into a list.
    Add {
        /// Where, as a JSON pointer.
        path: String,
        /// What.
        value: Value,
    },
    /// Moves an element of a list.
    Move {
        /// From where.
        from: String,
        /// To where.
        path: String,
    },
}

impl Operation {
    pub(super) fn add(path: impl Into<String>, value: Value) -> Self {
        Self::Add { path: path.into(), value }
    }
}

/// A patch that does not fit.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It is no patch.
    #[error("the patch cannot be read")]
    Form(#[from] serde_json::Error),
    /// It is not for this pod.
    #[error("the patch does not fit")]
    Fit(#[from] json_patch::PatchError),
}

/// Changes a pod.
///
/// # Errors
/// If the patch was not made for this pod.
pub fn apply(pod: &mut Value, operations: &[Operation]) -> Result<(), PatchError> {
    let patch: json_patch::Patch = serde_json::from_value(serde_json::to_value(operations)?)?;
    Ok(json_patch::patch(pod, &patch)?)
}

/// A key as a part of a JSON pointer (RFC 6901 §3).
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
