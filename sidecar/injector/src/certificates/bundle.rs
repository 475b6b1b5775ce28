//! The `caBundle` of the webhook configuration: whom the API server believes, and since when we know that it does.
//! A new authority is in it for a while before its certificate is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Authority;
use crate::inject::Operation;

/// Since when each authority is known to be in the bundle.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<String, u64>);

impl Seen {
    /// Notes that exactly these are in the bundle now.
    pub(super) fn note(&mut self, authorities: &[Authority], now: u64) {
        self.0.retain(|certificate, _| authorities.iter().any(|known| known.certificate == *certificate));
        for authority in authorities {
            self.0.entry(authority.certificate.clone()).or_insert(now);
        }
    }

    /// The authority to serve with: the newest that has been in the bundle for long enough.
    ///
    /// Right after our start that is none, although the bundle may be old: then it is the oldest, which was there first.
    pub(super) fn serving<'a>(
        &self,
        authorities: &'a [Authority],
        now: u64,
        settle: Duration,
    ) -> Option<&'a Authority> {
        let settled = |authority: &&Authority| {
            let since = self.0.get(&authority.certificate);
            since.is_some_and(|since| now.saturating_sub(*since) >= settle.as_secs())
        };
        let mut alive = authorities.iter().filter(|authority| now < authority.ends);
        let mut newest_first = authorities.iter().rev().filter(|authority| now < authority.ends);
        newest_first
            .find(settled)
            .or_else(|| alive.find(|authority| self.0.contains_key(&authority.certificate)))
    }
}

/// What is to change in a webhook configuration so that exactly these authorities are believed.
pub(super) fn changes(configuration: &Value, authorities: &[Authority]) -> Vec<Operation> {
    let bundle: String = authorities.iter().map(|authority| authority.certificate.as_str()).collect();
    let bundle = json!(STANDARD.encode(bundle));
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
