//! When the sidecar counts as started: every upstream has a verdict, or its time is over.
//! Neither a denial nor an outage keeps a pod from starting, unless an upstream is `required`.

use std::sync::Arc;
use std::time::Duration;

use symbolon_daemon::{Lifecycle, Readiness};
use symbolon_identity::UpstreamName;

use crate::credentials::Account;

/// What `/startupz` and `/readyz` answer from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Startup {
    pub(crate) startup: Readiness,
    pub(crate) ready: Readiness,
}

impl Startup {
    /// Holds both back until this upstream has what it needs.
    pub(crate) fn wait_for(
        &self,
        upstream: &UpstreamName,
        account: Arc<Account>,
        patience: Option<Duration>,
        lifecycle: &Lifecycle,
    ) {
        let name = format!("upstream {upstream}");
        let guards = [self.startup.block(name.clone()), self.ready.block(name)];
        let upstream = upstream.clone();
        lifecycle.spawn_background("startup", async move {
            let in_time = match patience {
                None => {
                    account.granted().await;
                    true
                }
                Some(patience) => tokio::time::timeout(patience, account.verdict()).await.is_ok(),
            };
            if !in_time {
                let upstream = upstream.as_str();
                tracing::warn!(
                    event.name = "startup.no_verdict",
                    upstream,
                    "starting without a word of the broker"
                );
            }
            drop(guards);
        });
    }
}
