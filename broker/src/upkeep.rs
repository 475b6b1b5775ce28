//! What goes on beside requests: counts of refused strangers go on record, and what has expired is forgotten.
//! Not here: anything that a request waits for.

mod pace;

use std::sync::Arc;
use std::time::Duration;

use symbolon_audit::{RefusalCount, RefusalCounters, Repeats, Repetition};
use symbolon_daemon::{Clock, Lifecycle};
use symbolon_identity::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::revoke::Revocations;
use crate::store::{Entry, Ledger, Store};
use pace::Pace;

const COUNTS_EVERY: Duration = Duration::from_secs(10);
const PRUNE_EVERY: Duration = Duration::from_mins(1);

/// Work in the background.
#[derive(Debug, Clone)]
pub(crate) struct Upkeep {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ledger: Ledger,
    pub(crate) strangers: Arc<RefusalCounters>,
    pub(crate) repeats: Arc<Repeats>,
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
            self.put(self.strangers.take_all(), self.repeats.take_all()).await;
        });
    }

    async fn count(&self) {
        let mut ticks = interval(COUNTS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.now();
            self.put(self.strangers.take_finished(now), self.repeats.take_finished(now)).await;
            // A revocation is on record and does not count yet if whoever took it down was cut off in between.
            if let Err(error) = self.revocations.follow(&*self.store, now).await {
                let error = crate::error_chain(&error);
                tracing::error!(
                    event.name = "revocations.unread",
                    error,
                    "revocations on record may not count yet"
                );
            }
        }
    }

    /// Puts counts on record, all in one commit. What may not be on record is kept for the next time.
    async fn put(&self, strangers: Vec<RefusalCount>, repeats: Vec<Repetition>) {
        let records: Vec<_> = strangers
            .iter()
            .map(RefusalCount::record)
            .chain(repeats.iter().map(Repetition::record))
            .collect();
        if records.is_empty() {
            return;
        }
        let counters = records.len();
        if let Err(error) = self.ledger.record(Entry::Events(records)).await {
            tracing::warn!(event.name = "refusals.unrecorded", counters, %error, "counts of refusals are kept for later");
            self.strangers.restore(strangers);
            self.repeats.restore(repeats);
        }
    }

    async fn prune(&self) {
        let mut ticks = interval(PRUNE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pace = Pace::new(self.now(), Instant::now());
        loop {
            ticks.tick().await;
            let now = self.now();
            if !pace.is_plausible(now, Instant::now()) {
                tracing::warn!(
                    event.name = "store.prune_skipped",
                    "the clock jumped ahead, nothing is forgotten yet"
                );
                continue;
            }
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
