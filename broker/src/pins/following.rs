//! When a pod ends, or becomes what policies would not have given its tokens to, the tokens of its key end.
//! Not here: hearing of it (`attest::kubernetes`), or what policies say (`changes`).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use symbolon_daemon::Clock;
use symbolon_identity::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep_until};

use super::changes::{Asked, Changes};
use super::{Because, PinError, Pins, PodName};
use crate::attest::{Confirmer, PodEvent};
use crate::policies::Policies;

/// So many events wait to be dealt with; others are found by comparing.
const WAITING: usize = 4096;
/// A token that was being issued when its pod ended or changed is on record by then.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(15)];
/// So often pods are held against what the cluster has: what happened while nobody looked is found so.
const COMPARE: Duration = Duration::from_secs(10);

/// What is to be done, soonest first.
type Due = BinaryHeap<Reverse<(Instant, PodEvent)>>;

/// Ends the tokens of one cluster's pods.
#[derive(Debug)]
pub(crate) struct Following {
    confirmer: Arc<Confirmer>,
    pins: Arc<Pins>,
    changes: Changes,
    clock: Arc<dyn Clock>,
}

impl Following {
    pub(crate) fn new(
        confirmer: Arc<Confirmer>,
        pins: Arc<Pins>,
        (policies, labels_name): (Arc<Policies>, bool),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let changes = Changes { pins: Arc::clone(&pins), policies, labels_name };
        Self { confirmer, pins, changes, clock }
    }

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
                    let Some(event) = event else { return };
                    let from = Instant::now() + self.delay(&event);
                    due.extend(AGAIN.map(|after| Reverse((from + after, event.clone()))));
                }
                () = wait => {
                    if let Some(Reverse((_, event))) = due.pop()
                        && !self.deal_with(&event).await
                    {
                        due.push(Reverse((Instant::now() + Duration::from_secs(1), event)));
                    }
                }
            }
        }
    }

    /// Deals with one event; false if it has to be tried again.
    async fn deal_with(&self, event: &PodEvent) -> bool {
        let (PodEvent::Gone(uid) | PodEvent::Leaving(uid, _) | PodEvent::Changed(uid)) = event;
        let result = match event {
            PodEvent::Gone(uid) | PodEvent::Leaving(uid, _) => {
                self.pins.revoke(&self.pod(uid), Because::PodGone, self.now()).await
            }
            PodEvent::Changed(uid) => match self.confirmer.now(uid, self.now()) {
                Some(now) => self.changes.ask_again(&self.pod(uid), &now, self.now()).await,
                None => Ok(()),
            },
        };
        let Err(PinError::Unavailable(error)) = result else { return true };
        tracing::error!(
            event.name = "pod.not_revoked",
            pod = uid,
            error,
            "the tokens of a pod that ended or changed may still count"
        );
        false
    }

    async fn compare(&self) {
        let (mut ticks, mut missed, mut asked) = (interval(COMPARE), HashSet::new(), Asked::default());
        loop {
            ticks.tick().await;
            let provider = self.confirmer.cluster().name();
            if let Ok(pods) = self.pins.store.pinned(provider, self.now()).await {
                // A pod of this moment has a key before the mirror has the pod: only who is missed twice is gone.
                let lost: HashSet<String> =
                    pods.into_iter().filter(|uid| self.confirmer.has_lost(uid, self.now())).collect();
                for uid in lost.intersection(&missed) {
                    self.deal_with(&PodEvent::Gone(uid.clone())).await;
                }
                missed = lost;
            }
            if let Ok(pods) = self.pins.store.pods_with_tokens(provider, self.now()).await {
                asked.keep(&pods);
                for uid in pods {
                    let Some(now) = self.confirmer.now(&uid, self.now()) else { continue };
                    if asked.is_news(&uid, &now) && self.deal_with(&PodEvent::Changed(uid.clone())).await {
                        asked.note(uid, now);
                    }
                }
            }
        }
    }

    /// How long there is nothing to do about an event: a pod that was deleted has its grace first.
    fn delay(&self, event: &PodEvent) -> Duration {
        match event {
            PodEvent::Leaving(_, at) => {
                at.saturating_since(self.now()).saturating_add(Duration::from_secs(1))
            }
            PodEvent::Gone(_) | PodEvent::Changed(_) => Duration::ZERO,
        }
    }

    fn pod(&self, uid: &str) -> PodName {
        PodName { provider: self.confirmer.cluster().name().clone(), uid: uid.to_owned() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}
