//! What operators may ask of the ring, and the queue by which they do: one change at a time, whole even if they leave.
//! Not here: HTTP (`routes::keys`).

use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, Thumbprint};
use tokio::sync::{mpsc, oneshot};

use super::keeper::Keeper;
use super::life::{KeyChange, KeyLife, Phase, RevokedKey};
use super::schedule::find;
use super::vault::KeyError;
use crate::revoke::Revocations;

/// So many orders may wait.
const QUEUE: usize = 16;
/// Verifiers are told of a revoked key for so long, also those that were away.
const TOLD_FOR: std::time::Duration = std::time::Duration::from_hours(30 * 24);

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The keys.
    List,
    /// The next key of an algorithm, or of each: published now, signing after the lead.
    Rotate(Option<Algorithm>),
    /// A key that does not sign any more.
    Retire(Thumbprint),
    /// A key that nobody trusts any more, at once.
    Revoke(Thumbprint),
}

/// The keys after what was asked for.
#[derive(Debug)]
pub(crate) struct KeyReport {
    /// The keys, oldest first.
    pub(crate) keys: Vec<PlannedKey>,
    /// The keys that verifiers are told not to trust.
    pub(crate) revoked: Vec<RevokedKey>,
}

/// A key and its next change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlannedKey {
    /// The key.
    pub(crate) life: KeyLife,
    /// When it is activated, retired or removed, whichever is next, as far as it is known now.
    pub(crate) next_change: Timestamp,
}

/// Why what an operator asked for is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRefusal {
    /// There is no such key.
    #[error("there is no key of this id")]
    Unknown,
    /// The key signs, and no other one could take over yet.
    #[error(
        "the key signs and no follower has been published for long enough: rotate, and it retires by itself; or revoke it"
    )]
    Signs,
    /// The key has ceased to sign already.
    #[error(
        "the key has retired already: it goes when its last token has expired; to distrust it now, revoke it"
    )]
    Retired,
    /// The next key is published already.
    #[error("the next key is published already and will sign after the lead")]
    UnderWay,
    /// No resource uses the algorithm.
    #[error("no resource uses {0}, and it is not listed in `keys.algorithms`")]
    NotInUse(Algorithm),
    /// Too many orders wait.
    #[error("too many changes are under way")]
    Busy,
    /// It failed.
    #[error("the keys cannot be read or changed")]
    Failed(#[from] KeyError),
}

/// The way to the keeper. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct KeyDesk {
    orders: mpsc::Sender<Order>,
}

/// One order of one operator.
#[derive(Debug)]
pub(super) struct Order {
    ask: Ask,
    by: u32,
    done: oneshot::Sender<Result<KeyReport, KeyRefusal>>,
}

impl KeyDesk {
    pub(super) fn open() -> (Self, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(QUEUE);
        (Self { orders }, received)
    }

    /// Asks for something in the name of a user.
    ///
    /// # Errors
    /// [`KeyRefusal`] if it is not done.
    pub(crate) async fn ask(&self, ask: Ask, by: u32) -> Result<KeyReport, KeyRefusal> {
        let (done, answer) = oneshot::channel();
        self.orders.try_send(Order { ask, by, done }).map_err(|_| KeyRefusal::Busy)?;
        answer.await.unwrap_or(Err(KeyRefusal::Failed(KeyError::CutOff)))
    }
}

impl Keeper {
    pub(super) async fn answer(&mut self, order: Order, revocations: &Revocations) {
        let mut answer = self.carry_out(order.ask, order.by).await;
        // A revoked key is in the feed, too, by the same commit; whoever follows the feed need not fetch the keys first.
        if answer.is_ok()
            && let Err(error) = revocations.follow(&*self.store, self.now()).await
        {
            answer = Err(KeyError::from(error).into());
        }
        // The operator may have gone; it is done or refused all the same.
        let _ = order.done.send(answer);
    }

    pub(super) async fn carry_out(&mut self, ask: Ask, by: u32) -> Result<KeyReport, KeyRefusal> {
        self.reload().await?;
        match ask {
            Ask::List => {}
            Ask::Rotate(only) => self.rotate(only, by).await?,
            Ask::Retire(id) => self.retire(id, by).await?,
            Ask::Revoke(id) => self.revoke(id, by).await?,
        }
        let revoked = self.store.revoked_kids(self.now()).await.map_err(KeyError::from)?;
        let planned = |life: &KeyLife| PlannedKey { life: *life, next_change: self.next_change(life) };
        Ok(KeyReport { keys: self.keys.iter().map(planned).collect(), revoked })
    }

    async fn rotate(&mut self, only: Option<Algorithm>, by: u32) -> Result<(), KeyRefusal> {
        let algorithms: Vec<Algorithm> = match only {
            Some(algorithm) if !self.schedule.algorithms.contains(&algorithm) => {
                return Err(KeyRefusal::NotInUse(algorithm));
            }
            Some(algorithm) => vec![algorithm],
            None => self.schedule.algorithms.iter().copied().collect(),
        };
        let mut changes = Vec::new();
        for algorithm in algorithms {
            if find(&self.keys, algorithm, Phase::Published).is_none() {
                changes.push(self.make(algorithm, KeyLife::published).await?);
            }
        }
        if changes.is_empty() {
            return Err(KeyRefusal::UnderWay);
        }
        Ok(self.turn(changes, Some(by)).await?)
    }

    async fn retire(&mut self, id: Thumbprint, by: u32) -> Result<(), KeyRefusal> {
        let (key, at) = (self.key(id).ok_or(KeyRefusal::Unknown)?, self.now());
        let mut changes = vec![KeyChange::Retire { id, at }];
        match key.phase() {
            Phase::Retired => return Err(KeyRefusal::Retired),
            Phase::Published => {}
            Phase::Active => {
                let next = find(&self.keys, key.algorithm, Phase::Published)
                    .filter(|next| self.schedule.signs_from(next) <= at);
                changes.push(KeyChange::Activate { id: next.ok_or(KeyRefusal::Signs)?.id, at });
            }
        }
        Ok(self.turn(changes, Some(by)).await?)
    }

    async fn revoke(&mut self, id: Thumbprint, by: u32) -> Result<(), KeyRefusal> {
        let now = self.now();
        let Some(key) = self.key(id) else {
            let revoked = self.store.revoked_kids(now).await.map_err(KeyError::from)?;
            let again = revoked.iter().any(|revoked| revoked.id == id);
            return if again { Ok(()) } else { Err(KeyRefusal::Unknown) };
        };
        let until = key.tokens_until.unwrap_or(now).max(now).saturating_add(TOLD_FOR);
        let mut changes = vec![KeyChange::Revoke(RevokedKey { id, revoked_at: now, until })];
        if key.phase() == Phase::Active {
            // A fresh one: whoever has stolen the key may have seen the published follower, too.
            match self.make(key.algorithm, KeyLife::active).await {
                Ok(add) => changes.push(add),
                // SECURITY: a stolen key goes even if none can take over; the schedule tries again.
                Err(error) => {
                    let error = crate::error_chain(&error);
                    tracing::error!(
                        event.name = "keys.failed",
                        error,
                        "no key can take over from a revoked one"
                    );
                }
            }
        }
        Ok(self.turn(changes, Some(by)).await?)
    }

    fn key(&self, id: Thumbprint) -> Option<KeyLife> {
        self.keys.iter().find(|key| key.id == id).copied()
    }

    fn next_change(&self, key: &KeyLife) -> Timestamp {
        match key.phase() {
            Phase::Published => self.schedule.signs_from(key),
            Phase::Active => {
                self.schedule.followed_by(find(&self.keys, key.algorithm, Phase::Published), key)
            }
            Phase::Retired => self.schedule.stays_until(key),
        }
    }
}
