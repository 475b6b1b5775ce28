//! When a pod ends, so do the tokens of its key.
//! Not here: hearing of it (`attest::kubernetes`).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use symbolon_daemon::Clock;
use symbolon_identity::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep_until};

use super::{PinError, Pins, PodName};
use crate::attest::{Confirmer, PodEvent};

/// So many endings wait to be dealt with; others are found by comparing.
const WAITING: usize = 4096;
/// A token that was being issued when its pod ended is on record by then.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(15)];
/// So often pods with keys are held against what the cluster has: whoever went while nobody looked is found so.
const COMPARE: Duration = Duration::from_secs(10);

/// What is to be done, soonest first.
type Due = BinaryHeap<Reverse<(Instant, String)>>;

/// Ends the tokens of one cluster's pods.
#[derive(Debug)]
pub(crate) struct Endings {
    pub(crate) confirmer: Arc<Confirmer>,
    pub(crate) pins: Arc<Pins>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Endings {
    /// Follows the cluster for ever.
    pub(crate) async fn follow(self) {
        let (events, heard) = mpsc::channel(WAITING);
        tokio::join!(self.confirmer.follow(events), self.deal(heard), self.compare());
    }

    async fn deal(&self, mut heard: mpsc::Receiver<PodEvent>) {
        let mut due = Due::new();
        loop {
            let next = due.peek().map(|Reverse((when, _))| *when);
            let wait = async {
                match next {
                    Some(when) => sleep_until(when).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = heard.recv() => {
                    let Some(PodEvent::Gone(uid)) = event else { return };
                    due.extend(AGAIN.map(|after| Reverse((Instant::now() + after, uid.clone()))));
                }
                () = wait => {
                    if let Some(Reverse((_, uid))) = due.pop()
                        && !self.end(uid.clone()).await
                    {
                        due.push(Reverse((Instant::now() + Duration::from_secs(1), uid)));
                    }
                }
            }
        }
    }

    /// Ends one pod; false if it has to be tried again.
    async fn end(&self, uid: String) -> bool {
        let pod = PodName { provider: self.confirmer.cluster().name().clone(), uid };
        let now = Timestamp::from_secs_saturating(self.clock.unix_seconds());
        let Err(PinError::Unavailable(error)) = self.pins.end(&pod, "pod_gone", now).await else {
            return true;
        };
        tracing::error!(
            event.name = "pod.not_ended",
            pod = pod.uid,
            error,
            "the tokens of a pod that ended may still count"
        );
        false
    }

    async fn compare(&self) {
        let (mut ticks, mut missed) = (interval(COMPARE), HashSet::new());
        loop {
            ticks.tick().await;
            let provider = self.confirmer.cluster().name();
            let Ok(pods) = self.pins.store.pinned(provider).await else { continue };
            // A pod of this moment has a key before the mirror has the pod: only who is missed twice is gone.
            let lost: HashSet<String> = pods.into_iter().filter(|uid| self.confirmer.has_lost(uid)).collect();
            for uid in lost.intersection(&missed) {
                self.end(uid.clone()).await;
            }
            missed = lost;
        }
    }
}
