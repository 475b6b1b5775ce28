//! What goes on beside requests: counts of refused strangers go on record, and what has expired is forgotten.
//! Not here: anything that a request waits for.

use std::sync::Arc;
use std::time::Duration;

use symbolon_audit::{RefusalCount, RefusalCounters};
use symbolon_daemon::{Clock, Lifecycle};
use symbolon_identity::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use crate::revoke::Revocations;
use crate::store::{Entry, Ledger, Store};

const COUNTS_EVERY: Duration = Duration::from_secs(10);
const PRUNE_EVERY: Duration = Duration::from_mins(1);

/// Work in the background.
#[derive(Debug, Clone)]
pub(crate) struct Upkeep {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ledger: Ledger,
    pub(crate) strangers: Arc<RefusalCounters>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) keep_decisions: Duration,
}

impl Upkeep {
    /// Starts the tasks.
    pub(crate) fn start(self, lifecycle: &Lifecycle) {
        let pruning = self.clone();
        lifecycle.spawn_background("prune", async move { pruning.prune().await });
        let shutdown = lifecycle.shutting_down();
        // In the foreground: the last counts go on record before the program ends.
        lifecycle.spawn("refusal_counts", async move {
            tokio::select! {
                () = self.count() => {}
                () = shutdown => {}
            }
            self.put(self.strangers.take_all()).await;
        });
    }

    async fn count(&self) {
        let mut ticks = interval(COUNTS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.put(self.strangers.take_finished(self.now())).await;
        }
    }

    async fn put(&self, counts: Vec<RefusalCount>) {
        for count in counts {
            if self.ledger.record(Entry::Event(Box::new(count.record()))).await.is_err() {
                tracing::warn!(
                    event.name = "refusals.unrecorded",
                    reason = count.reason.as_str(),
                    count = count.count,
                    "a count of refusals is not on record"
                );
            }
        }
    }

    async fn prune(&self) {
        let mut ticks = interval(PRUNE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.now();
            self.revocations.prune(now);
            match self.store.prune(now, now.saturating_sub(self.keep_decisions)).await {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(event.name = "store.pruned", rows, "forgot what had expired"),
                Err(error) => {
                    let error = crate::error_chain(&error);
                    tracing::warn!(
                        event.name = "store.prune_failed",
                        error,
                        "what has expired is still kept"
                    );
                }
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}
