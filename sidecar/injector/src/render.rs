//! Manifests in, manifests with sidecars out: the webhook's answer without a webhook.
//! Documents that hold no pod, or one that stays as it is, come out byte for byte as they went in.

use serde_json::Value;

use crate::inject::{Circumstances, Outcome, apply, inject};
use crate::settings::Settings;

mod documents;
mod templates;
mod yaml_read;
mod yaml_write;

pub(crate) use documents::split;
pub(crate) use yaml_write::document;

use documents::Document;

/// What came of manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The manifests.
    pub text: String,
    /// What their owner may want to know.
    pub warnings: Vec<String>,
    /// How many pods got a sidecar.
    pub injected: usize,
}

/// Why manifests were not rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A document is not YAML.
    #[error("line {line}: {problem}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A pod would be refused.
    #[error("line {line}: {object}: {message}")]
    Refused {
        /// Where its document begins.
        line: usize,
        /// Which object it is.
        object: String,
        /// Why.
        message: String,
    },
}

/// Gives the pods in `manifests` their sidecars: all of them, or none and an error.
///
/// # Errors
/// If a document is not YAML, or a pod would be refused.
pub fn render(
    manifests: &str,
    settings: &Settings,
    circumstances: Circumstances,
) -> Result<Rendered, RenderError> {
    let mut rendered = Rendered::default();
    for document in split(manifests) {
        match changed(&document, settings, circumstances, &mut rendered)? {
            None => rendered.text.push_str(document.whole),
            Some(value) => {
                if !rendered.text.is_empty() || document.is_marked() {
                    rendered.text.push_str("---\n");
                }
                rendered.text.push_str(&yaml_write::document(&value));
            }
        }
    }
    Ok(rendered)
}

/// The document with its sidecars, if it got any.
fn changed(
    document: &Document<'_>,
    settings: &Settings,
    circumstances: Circumstances,
    rendered: &mut Rendered,
) -> Result<Option<Value>, RenderError> {
    let mut value = document.read()?;
    let mut any = false;
    for (object, template) in templates::of(&mut value) {
        let refused = |message| RenderError::Refused { line: document.line, object: object.clone(), message };
        match inject(template, settings, circumstances) {
            Outcome::Unchanged(_) => {}
            Outcome::Refused(message) => return Err(refused(message)),
            Outcome::Patch { operations, warnings } => {
                apply(template, &operations).map_err(|error| refused(error.to_string()))?;
                rendered.warnings.extend(warnings.iter().map(|warning| format!("{object}: {warning}")));
                rendered.injected += 1;
                any = true;
            }
        }
    }
    Ok(any.then_some(value))
}

#[cfg(test)]
mod tests;
