//! The one function that decides what a pod gets: pod and settings in, patch or refusal out.
//! It asks nobody, reads nothing, and knows no clock; the webhook, the command and the policy say what it says.

use serde_json::Value;

use crate::settings::Settings;

mod annotations;
mod objections;
mod ours;
mod parts;
mod patch;
mod plan;
mod pod;
mod warnings;

pub(crate) use annotations::{
    CONTAINERS, CPU_REQUEST, IMAGE, INPUTS, LOG_LEVEL, MEMORY_LIMIT, MEMORY_REQUEST, SKIP_CONTAINERS,
    UPSTREAMS,
};
pub(crate) use parts::{Choice, container, sidecar_config, volumes};
pub(crate) use patch::escaped;
pub use patch::{Operation, PatchError, apply};
pub(crate) use plan::told;
pub(crate) use pod::shown;

/// The prefix of all our labels and annotations.
pub(crate) const DOMAIN: &str = "symbolon.dev/";
/// The label by which a pod asks for its sidecar, or declines it.
pub(crate) const LABEL: &str = "symbolon.dev/inject";
/// The label of a namespace whose pods are all injected: `enabled`, or `enforced`, where none may decline.
pub(crate) const NAMESPACE_LABEL: &str = "symbolon.dev/injection";
/// The container that we add.
pub(crate) const CONTAINER: &str = "symbolon-sidecar";
/// The volume with token, configuration and certificates, and the one for the key.
pub(crate) const VOLUMES: [&str; 2] = ["symbolon-identity", "symbolon-key"];
/// Everything of ours in the sidecar's file system is below.
pub(crate) const FOLDER: &str = "/run/symbolon";
/// Where the sidecar finds the certificates that vouch for the broker.
pub(crate) const CA_FILE: &str = "/run/symbolon/identity/ca.pem";
/// What the pod was injected by.
pub(crate) const STATUS: &str = "symbolon.dev/status";
/// The sidecar's configuration.
pub(crate) const CONFIG: &str = "symbolon.dev/sidecar-config";
/// The certificates that vouch for the broker.
pub(crate) const CA: &str = "symbolon.dev/sidecar-ca";

/// Why this pod was brought to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Only a pod that says so by its label is injected.
    #[default]
    Labelled,
    /// Its namespace is `enabled`: every pod that does not decline.
    Enabled,
    /// Its namespace is `enforced`: every pod, and none may decline.
    Enforced,
}

/// What is true of a pod beside what it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Why it was brought to us.
    pub selection: Selection,
    /// Whether the sidecar is a native one here.
    pub native: bool,
}

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It gets this.
    Patch {
        /// The changes, in their order.
        operations: Vec<Operation>,
        /// What its owner may want to know.
        warnings: Vec<String>,
    },
    /// It stays as it is, because.
    Unchanged(&'static str),
    /// It is not let in, because. The message is for its owner.
    Refused(String),
}

/// Decides what a pod, or the template of one, gets.
#[must_use]
pub fn inject(pod: &Value, settings: &Settings, circumstances: Circumstances) -> Outcome {
    match decide(pod, settings, circumstances) {
        Ok(outcome) => outcome,
        Err(message) => Outcome::Refused(message),
    }
}

/// As [`inject`], with a refusal as an error.
fn decide(pod: &Value, settings: &Settings, circumstances: Circumstances) -> Result<Outcome, String> {
    let pod = pod::Pod::read(pod)?;
    if let Some(reason) = left_alone(&pod, circumstances.selection)? {
        return Ok(Outcome::Unchanged(reason));
    }
    objections::surroundings(&pod, settings)?;
    let wishes = annotations::Wishes::read(&pod, settings)?;
    let parts = parts::Parts::new(settings, &wishes, circumstances.native);
    let standing = ours::standing(&pod, &parts)?;
    objections::check(&pod, settings, &wishes)?;
    let plan = plan::Plan { pod: &pod, parts: &parts, wishes: &wishes, settings };
    let operations = plan.operations(standing);
    if operations.is_empty() {
        return Ok(Outcome::Unchanged("it has its sidecar already"));
    }
    Ok(Outcome::Patch { operations, warnings: warnings::of(&pod, settings, circumstances.native) })
}

/// Why the pod is not ours to change, if it is not.
fn left_alone(pod: &pod::Pod<'_>, selection: Selection) -> Result<Option<&'static str>, String> {
    if pod.annotation("kubernetes.io/config.mirror").is_some() {
        return Ok(Some("it is the image of a static pod"));
    }
    match (pod.label(LABEL), selection) {
        (Some("true"), _) | (None, Selection::Enabled | Selection::Enforced) => Ok(None),
        (None, Selection::Labelled) => Ok(Some("it does not ask for a sidecar")),
        (Some("false"), Selection::Labelled | Selection::Enabled) => Ok(Some("it declines a sidecar")),
        (Some("false"), Selection::Enforced) => Err(format!(
            "the namespace has `{NAMESPACE_LABEL}: enforced`, so the label `{LABEL}: \"false\"` is not allowed here"
        )),
        (Some(other), _) => {
            Err(format!("the label `{LABEL}` is \"true\" or \"false\", not {}", shown(other)))
        }
    }
}

#[cfg(test)]
mod tests;
