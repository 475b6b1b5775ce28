//! The `caBundle` of the webhook configuration: whom the API server believes.
//! A new authority is in it for a while before its certificate is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use symbolon_kept::Authority;

use crate::inject::Operation;

/// What is to change in a webhook configuration so that exactly these authorities are believed.
pub(super) fn changes(configuration: &Value, authorities: &[Authority]) -> Vec<Operation> {
    let bundle = json!(STANDARD.encode(symbolon_kept::bundle(authorities)));
    let webhooks = configuration.get("webhooks").and_then(Value::as_array);
    let differs = |webhook: &Value| webhook.pointer("/clientConfig/caBundle") != Some(&bundle);
    let webhooks = webhooks.into_iter().flatten().enumerate().filter(|(_, webhook)| differs(webhook));
    // `add` of a member that exists replaces it (RFC 6902 §4.1).
    webhooks
        .map(|(index, _)| Operation::Add {
            path: format!("/webhooks/{index}/clientConfig/caBundle"),
            value: bundle.clone(),
        })
        .collect()
}
