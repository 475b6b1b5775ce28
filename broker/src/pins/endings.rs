//! When a pod ends, so do the tokens of its key.
//! Not here: hearing of it (`attest::kubernetes`).

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
        let mut due: Vec<(Instant, String)> = Vec::new();
        loop {
            due.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
            let next = due.last().map(|(when, _)| *when);
            let wait = async {
                match next {
                    Some(when) => sleep_until(when).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = heard.recv() => {
                    let Some(PodEvent::Gone(uid)) = event else { return };
                    due.extend(AGAIN.map(|after| (Instant::now() + after, uid.clone())));
                }
                () = wait => {
                    if let Some((_, uid)) = due.pop() {
                        self.end(uid, &mut due).await;
                    }
                }
            }
        }
    }

    async fn end(&self, uid: String, due: &mut Vec<(Instant, String)>) {
        let pod = PodName { provider: self.confirmer.cluster().name().clone(), uid };
        let now = Timestamp::from_secs_saturating(self.clock.unix_seconds());
        if let Err(PinError::Unavailable(error)) = self.pins.end(&pod, "pod_gone", now).await {
            tracing::error!(
                event.name = "pod.not_ended",
                pod = pod.uid,
                error,
                "the tokens of a pod that ended may still count"
            );
            due.push((Instant::now() + Duration::from_secs(1), pod.uid));
        }
    }

    async fn compare(&self) {
        let mut ticks = interval(COMPARE);
        loop {
            ticks.tick().await;
            let provider = self.confirmer.cluster().name();
            let Ok(pods) = self.pins.store.pinned(provider).await else { continue };
            for uid in pods.into_iter().filter(|uid| self.confirmer.has_lost(uid)) {
                self.end(uid, &mut Vec::new()).await;
            }
        }
    }
}
