//! The Secret that keeps the authorities, and which of them should be in it at a time.
//! Replicas agree by its version: who was slower reads again.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Authority, IssueError};

/// The one key of the Secret's data.
const KEY: &str = "authorities.json";

#[derive(Deserialize, Serialize)]
struct Stored {
    certificate: String,
    key: String,
    made: u64,
    ends: u64,
}

/// The authorities in a Secret, oldest first. What is not ours to read counts as nothing: it is written over.
#[must_use]
pub fn read(secret: &Value) -> Vec<Authority> {
    let encoded = secret.pointer("/data/authorities.json").and_then(Value::as_str).unwrap_or_default();
    let decoded = STANDARD.decode(encoded).unwrap_or_default();
    if decoded.is_empty() {
        return Vec::new();
    }
    let stored: Vec<Stored> = serde_json::from_slice(&decoded).unwrap_or_else(|_| {
        tracing::warn!(
            event.name = "certificates.unreadable",
            "what the Secret holds is not ours, and is written over"
        );
        Vec::new()
    });
    let read = |stored: Stored| Authority {
        certificate: stored.certificate,
        key: SecretString::from(stored.key),
        made: stored.made,
        ends: stored.ends,
    };
    let mut authorities: Vec<Authority> = stored.into_iter().map(read).collect();
    authorities.sort_by_key(|authority| authority.made);
    authorities
}

/// Puts the authorities into a Secret, which keeps its version and all else.
pub fn write(secret: &mut Value, authorities: &[Authority]) {
    let stored = authorities.iter().map(|authority| Stored {
        certificate: authority.certificate.clone(),
        key: authority.key.expose_secret().to_owned(),
        made: authority.made,
        ends: authority.ends,
    });
    let stored: Vec<Stored> = stored.collect();
    let text = json!(stored).to_string();
    if !secret.get("data").is_some_and(Value::is_object) {
        secret["data"] = json!({});
    }
    secret["data"][KEY] = json!(STANDARD.encode(text));
}

/// Which authorities there should be: none that has ended, and a new one before the newest ends. `None` if they are right.
///
/// An old one stays until it ends, not until it is replaced: a replica that cannot reach the API server goes on with it.
///
/// # Errors
/// [`IssueError`].
pub fn due(
    name: &str,
    authorities: &[Authority],
    now: u64,
    lifetime: Duration,
) -> Result<Option<Vec<Authority>>, IssueError> {
    let mut kept: Vec<Authority> =
        authorities.iter().filter(|authority| now < authority.ends).cloned().collect();
    if kept.last().is_none_or(|newest| now >= newest.succeeded()) {
        kept.push(Authority::make(name, now, lifetime)?);
        return Ok(Some(kept));
    }
    Ok((kept.len() != authorities.len()).then_some(kept))
}

/// The certificates of all of them, PEM: for whoever has to believe what any of them signed.
#[must_use]
pub fn bundle(authorities: &[Authority]) -> String {
    authorities.iter().map(|authority| authority.certificate.as_str()).collect()
}
