//! Which version the API server has, and so whether sidecars are native there.
//! Asked once: a cluster that is upgraded gets native sidecars when we start the next time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use symbolon_daemon::BlockReady;
use symbolon_kept::ApiServer;

use crate::metrics::Metrics;

/// Generally available, and known to every kubelet that may still be in such a cluster.
const NATIVE_FROM: (u32, u32) = (1, 33);
const PAUSE: Duration = Duration::from_secs(2);

/// Asks until there is an answer; until then we are not ready.
pub(crate) async fn learn(api: ApiServer, native: Arc<AtomicBool>, metrics: Metrics, waiting: BlockReady) {
    loop {
        match api.get("/version").await {
            Ok(version) => {
                if let Some(is) = is_native(&version) {
                    native.store(is, Ordering::Relaxed);
                    tracing::info!(
                        event.name = "version.known",
                        native = is,
                        "the API server's version is known"
                    );
                    drop(waiting);
                    return;
                }
                tracing::warn!(event.name = "version.unknown", "the API server's version cannot be read");
            }
            Err(error) => {
                let error = symbolon_program::chain(&error);
                tracing::warn!(
                    event.name = "version.failed",
                    error,
                    "cannot ask the API server for its version"
                );
            }
        }
        metrics.api_failures.inc();
        tokio::time::sleep(PAUSE).await;
    }
}

/// Some clouds write a minor version of `33+`.
fn is_native(version: &Value) -> Option<bool> {
    let number = |key: &str| {
        let text = version.get(key)?.as_str()?;
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        digits.parse::<u32>().ok()
    };
    Some((number("major")?, number("minor")?) >= NATIVE_FROM)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sidecars_are_native_from_1_33_on() {
        for (major, minor, expected) in [
            ("1", "32", Some(false)),
            ("1", "33", Some(true)),
            ("1", "37+", Some(true)),
            ("2", "0", Some(true)),
            ("", "33", None),
        ] {
            assert_eq!(is_native(&json!({ "major": major, "minor": minor })), expected, "{major}.{minor}");
        }
        assert_eq!(is_native(&json!({})), None);
    }
}
