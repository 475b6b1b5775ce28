//! `admission.k8s.io/v1`: the API server's question and our answer to it.
//! Pure: the same question gets the same answer, whoever asks, so a stranger who asks learns and changes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::weight::is_too_heavy;
use crate::inject::{Circumstances, Outcome, inject, shown};
use crate::metrics::Admitted;
use crate::settings::Settings;

const VERSION: &str = "admission.k8s.io/v1";

/// The answer to a question; or, if it is none that can be answered, why.
pub(super) fn answer(
    body: &[u8],
    settings: &Settings,
    circumstances: Circumstances,
) -> Result<(Value, Admitted), String> {
    // SECURITY: three MiB of commas would be some two hundred of values.
    if is_too_heavy(body) {
        return Err("more values than the review of any pod has".to_owned());
    }
    let review: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    let text = |pointer: &str| review.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/kind") != "AdmissionReview" || text("/apiVersion") != VERSION {
        return Err(format!(
            "expected an AdmissionReview of {VERSION}, not {} of {}: see `admissionReviewVersions`",
            shown(text("/kind")),
            shown(text("/apiVersion"))
        ));
    }
    let uid = text("/request/uid");
    if uid.is_empty() {
        return Err("the request has no `uid`, so nothing can answer it".to_owned());
    }
    let kind = (text("/request/kind/group"), text("/request/kind/version"), text("/request/kind/kind"));
    let (response, admitted) = if kind != ("", "v1", "Pod") {
        (
            refusal(
                400,
                &format!("only pods of v1 are injected, not {}: see the webhook's `rules`", shown(kind.2)),
            ),
            Admitted::Refused,
        )
    } else if text("/request/operation") != "CREATE" || !text("/request/subResource").is_empty() {
        (
            json!({ "allowed": true, "warnings": ["symbolon: pods are injected when they are created, and never later"] }),
            Admitted::Unchanged,
        )
    } else {
        pod(review.pointer("/request/object").unwrap_or(&Value::Null), settings, circumstances)
    };
    let mut response = response;
    response["uid"] = json!(uid);
    Ok((json!({ "apiVersion": VERSION, "kind": "AdmissionReview", "response": response }), admitted))
}

fn pod(pod: &Value, settings: &Settings, circumstances: Circumstances) -> (Value, Admitted) {
    match inject(pod, settings, circumstances) {
        Outcome::Unchanged(_) => (json!({ "allowed": true }), Admitted::Unchanged),
        Outcome::Refused(message) => {
            tracing::info!(event.name = "webhook.refused", reason = message, "a pod was refused");
            (refusal(403, &format!("symbolon: the pod cannot be injected: {message}")), Admitted::Refused)
        }
        Outcome::Patch { operations, warnings } => {
            let patch = json!(operations).to_string();
            let mut response =
                json!({ "allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch) });
            if !warnings.is_empty() {
                response["warnings"] = json!(warnings);
            }
            (response, Admitted::Injected)
        }
    }
}

fn refusal(code: u16, message: &str) -> Value {
    let reason = if code == 403 { "Forbidden" } else { "BadRequest" };
    json!({
        "allowed": false,
        "status": { "status": "Failure", "code": code, "reason": reason, "message": message },
    })
}
