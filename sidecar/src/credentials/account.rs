//! One account with the broker: a task keeps its credential fresh, requests take it from here.
//! When to ask is decided by `standing.rs`; only this task ever asks, so there is a single flight by construction.

use std::sync::Arc;
use std::time::Duration;

use symbolon_identity::Audience;
use tokio::sync::{Notify, watch};

use super::Credential;
use super::standing::{Answer, Standing, Turn, Without};
use crate::broker::Broker;
use crate::dice::Dice;
use crate::settings::Want;
use crate::time::{Now, Time};

/// An account with the broker for one want.
#[derive(Debug)]
pub(crate) struct Account {
    want: Want,
    standing: watch::Sender<Standing>,
    wanted: Notify,
    patience: Duration,
    time: Time,
}

impl Account {
    /// An account that has not asked yet; a request waits at most `patience` for the broker's answer.
    pub(crate) fn new(want: Want, patience: Duration, time: Time) -> Self {
        let (standing, _) = watch::channel(Standing::new(time.now()));
        Self { want, standing, wanted: Notify::new(), patience, time }
    }

    pub(crate) const fn audience(&self) -> &Audience {
        &self.want.audience
    }

    /// The credential for a request that wants to leave now.
    ///
    /// Waits for the broker only if there is none, and then no longer than the patience of the account.
    pub(crate) async fn credential(&self) -> Result<Arc<Credential>, Without> {
        let now = self.time.now();
        let mut changes = self.standing.subscribe();
        let (turn, seen, without) = {
            let standing = changes.borrow_and_update();
            if let Some(credential) = standing.usable(now) {
                return Ok(Arc::clone(credential));
            }
            (standing.turn(now), standing.rounds(), standing.without(now))
        };
        if turn != Turn::Asking {
            self.hurry(now);
        }
        if turn == Turn::TooEarly {
            return Err(without);
        }
        let answered = changes.wait_for(|standing| standing.rounds() != seen);
        // Whether an answer came or the patience ended: what we have now is what counts.
        let _ = tokio::time::timeout(self.patience, answered).await;
        let now = self.time.now();
        let standing = self.standing.borrow();
        standing.usable(now).map(Arc::clone).ok_or_else(|| standing.without(now))
    }

    /// Has the broker asked as soon as it may be.
    fn hurry(&self, now: Now) {
        // Nobody who waits for an answer has to know.
        self.standing.send_if_modified(|standing| {
            standing.hurry(now);
            false
        });
        self.wanted.notify_one();
    }

    /// The credential that can be used now, if there is one. Asks nobody.
    pub(crate) fn current(&self) -> Option<Arc<Credential>> {
        self.standing.borrow().usable(self.time.now()).map(Arc::clone)
    }

    /// Tells when the broker has been asked and when it has answered.
    pub(crate) fn changes(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// How long the credential would outlast a broker that goes away now.
    pub(crate) fn outage_budget(&self) -> Duration {
        let now = self.time.now();
        self.standing.borrow().usable(now).map_or(Duration::ZERO, |credential| credential.left(now))
    }

    /// Completes when the broker has said yes or no.
    pub(crate) async fn verdict(&self) {
        self.reached(Standing::has_verdict).await;
    }

    /// Completes when there is a credential.
    pub(crate) async fn granted(&self) {
        self.reached(|standing| standing.usable(self.time.now()).is_some()).await;
    }

    async fn reached(&self, condition: impl Fn(&Standing) -> bool) {
        let mut changes = self.standing.subscribe();
        // INVARIANT: `self` holds the sender, so the channel cannot close while we wait.
        let _ = changes.wait_for(|standing| condition(standing)).await;
    }

    /// Asks the broker again and again, for as long as the program lives.
    pub(crate) async fn keep(&self, broker: &Broker) {
        let mut dice = Dice::thrown();
        loop {
            let asked = self.time.now();
            self.standing.send_modify(|standing| standing.begin(asked));
            let answer = broker.ask(&self.want, asked, &mut dice).await;
            self.log(&answer);
            let now = self.time.now();
            self.standing.send_modify(|standing| standing.settle(answer, now, &mut dice));
            self.until_due().await;
        }
    }

    /// Waits until it is time, which a request can bring nearer.
    async fn until_due(&self) {
        loop {
            let due = self.standing.borrow().due();
            tokio::select! {
                () = tokio::time::sleep_until(due) => return,
                () = self.wanted.notified() => {}
            }
        }
    }

    fn log(&self, answer: &Answer) {
        let audience = self.audience().as_str();
        match answer {
            Answer::Granted(credential) => {
                let left = credential.left(self.time.now()).as_secs();
                tracing::debug!(
                    event.name = "token.granted",
                    audience,
                    left_seconds = left,
                    "the broker issued a token"
                );
            }
            Answer::Denied(denial) | Answer::Refused(denial) => tracing::warn!(
                event.name = "token.refused",
                audience,
                reason = denial.reason.map_or("unknown", symbolon_identity::ReasonCode::as_str),
                decision_id = denial.decision_id.as_ref().map_or("", |id| id.as_str()),
                "the broker refused a token"
            ),
            // What exactly failed is logged where it is known.
            Answer::Failed { .. } => {}
        }
    }
}
