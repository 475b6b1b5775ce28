//! Where we stand with the broker about one audience, and when to ask next.
//! A state machine without a clock, a socket or a task: `account.rs` gives it those.

use std::sync::Arc;
use std::time::Duration;

use symbolon_identity::{DecisionId, ReasonCode};
use tokio::time::Instant;

use super::credential::Credential;
use crate::dice::Dice;
use crate::time::Now;

/// Callers can make us ask again about a denial, this often at most.
const REASK: Duration = Duration::from_secs(1);
const DENIED_FIRST: Duration = Duration::from_secs(30);
const DENIED_MOST: Duration = Duration::from_mins(5);
const FAILED_FIRST: Duration = Duration::from_millis(250);
const FAILED_MOST: Duration = Duration::from_secs(30);
/// A longer `Retry-After` is cut: somebody has to find out that the broker is back.
const RETRY_AFTER_MOST: Duration = Duration::from_mins(5);

/// The broker's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: Option<ReasonCode>,
    pub(crate) decision_id: Option<DecisionId>,
}

/// What came of asking once.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A token.
    Granted(Credential),
    /// A considered no: policy or the resource's configuration. What we still hold is not used any more.
    Denied(Denial),
    /// A no to how we asked (evidence, proof, form). What we hold was granted rightly and stays.
    Refused(Denial),
    /// No answer that can be used; not before this time may we ask again.
    Failed { not_before: Option<Duration> },
}

/// Why there is no credential for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Without {
    /// The broker said no.
    Denied(Denial),
    /// The broker says nothing; try again after this time.
    Unavailable { retry_after: Duration },
}

/// Whether a request that finds no credential should have the broker asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The broker is being asked: wait.
    Asking,
    /// It is time to ask.
    Ask,
    /// It is too early to ask again.
    TooEarly,
}

/// Of what kind the last answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Granted,
    Denied,
    Refused,
    /// Also before the first answer.
    Failed,
}

#[derive(Clone, Debug)]
pub(crate) struct Standing {
    asking: bool,
    rounds: u64,
    held: Option<Arc<Credential>>,
    denial: Option<Denial>,
    last: Last,
    /// How many answers of the same bad kind came in a row.
    in_a_row: u32,
    asked_at: Instant,
    due: Instant,
}

impl Standing {
    /// Nothing known, and the first question due now.
    pub(crate) const fn new(now: Now) -> Self {
        Self {
            asking: true,
            rounds: 0,
            held: None,
            denial: None,
            last: Last::Failed,
            in_a_row: 0,
            asked_at: now.tick,
            due: now.tick,
        }
    }

    pub(crate) fn begin(&mut self, now: Now) {
        self.asking = true;
        self.asked_at = now.tick;
    }

    /// Takes the answer in and decides when to ask next.
    pub(crate) fn settle(&mut self, answer: Answer, now: Now, dice: &mut Dice) {
        self.asking = false;
        self.rounds = self.rounds.wrapping_add(1);
        match answer {
            Answer::Granted(credential) => {
                self.due = credential.refresh_at();
                self.held = Some(Arc::new(credential));
                self.denial = None;
                self.last = Last::Granted;
            }
            Answer::Denied(denial) => {
                self.held = None;
                self.refuse(Last::Denied, denial, now, dice);
            }
            Answer::Refused(denial) => {
                self.held.take_if(|held| held.left(now).is_zero());
                self.refuse(Last::Refused, denial, now, dice);
            }
            Answer::Failed { not_before } => {
                self.held.take_if(|held| held.left(now).is_zero());
                // A no to how we asked then says nothing about now; a no by policy stands until we hear otherwise.
                if self.last == Last::Refused {
                    self.denial = None;
                }
                self.count(Last::Failed);
                let pause = self.pause(FAILED_FIRST, FAILED_MOST, dice);
                let told = not_before.unwrap_or_default().min(RETRY_AFTER_MOST);
                self.due = now.tick + pause.max(told);
            }
        }
    }

    fn refuse(&mut self, kind: Last, denial: Denial, now: Now, dice: &mut Dice) {
        self.count(kind);
        self.denial = Some(denial);
        self.due = now.tick + self.pause(DENIED_FIRST, DENIED_MOST, dice);
    }

    /// Begins a new row if the last answer was of another kind.
    fn count(&mut self, kind: Last) {
        if self.last != kind {
            self.in_a_row = 0;
        }
        self.last = kind;
    }

    /// Doubles with each bad answer in a row, up to `most`, and falls anywhere in its upper half.
    fn pause(&mut self, first: Duration, most: Duration, dice: &mut Dice) -> Duration {
        let factor = 2_u32.saturating_pow(self.in_a_row);
        self.in_a_row = self.in_a_row.saturating_add(1);
        dice.between(50, first.saturating_mul(factor).min(most))
    }

    /// The credential, if it can be used now.
    pub(crate) fn usable(&self, now: Now) -> Option<&Arc<Credential>> {
        self.held.as_ref().filter(|held| !held.left(now).is_zero())
    }

    /// What a request that found no usable credential should do.
    pub(crate) fn turn(&self, now: Now) -> Turn {
        if self.asking {
            return Turn::Asking;
        }
        if now.tick >= self.earliest(now) { Turn::Ask } else { Turn::TooEarly }
    }

    /// Somebody found no usable credential: the next question comes as soon as it may, not when it is due by itself.
    pub(crate) fn hurry(&mut self, now: Now) {
        if !self.asking && self.usable(now).is_none() {
            self.due = self.due.min(self.earliest(now));
        }
    }

    /// Before this, no request makes us ask.
    fn earliest(&self, now: Now) -> Instant {
        match self.last {
            Last::Granted => now.tick,
            Last::Denied | Last::Refused => self.asked_at + REASK,
            // The broker may have said when to come back.
            Last::Failed if self.denial.is_some() => self.due.max(self.asked_at + REASK),
            Last::Failed => self.due,
        }
    }

    /// Why there is no credential.
    pub(crate) fn without(&self, now: Now) -> Without {
        match &self.denial {
            Some(denial) => Without::Denied(denial.clone()),
            None => Without::Unavailable { retry_after: self.due.saturating_duration_since(now.tick) },
        }
    }

    /// Whether the broker has said yes or no yet.
    pub(crate) const fn has_verdict(&self) -> bool {
        self.held.is_some() || self.denial.is_some()
    }

    /// When to ask next if nobody wants anything before.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// How many answers have come.
    pub(crate) const fn rounds(&self) -> u64 {
        self.rounds
    }
}

#[cfg(test)]
mod tests;
