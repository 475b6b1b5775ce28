//! The one task that changes the ring: the store first, then what requests see.
//! Not here: when a change is due (`keys::schedule`), or what operators may ask for (`keys::desk`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use symbolon_daemon::{Clock, Lifecycle};
use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, Jwk, SigningKey, Thumbprint, VerifyingKey};

use super::desk::KeyDesk;
use super::life::{KeyChange, KeyLife, KeyTurn, Phase};
use super::published::PublishedKeys;
use super::schedule::{Schedule, Step};
use super::vault::{KeyError, Made, Vault};
use super::{SigningRing, Snapshot};
use crate::metrics::KeyMetrics;
use crate::revoke::Revocations;
use crate::store::{Entry, Store, StoredKey};

/// The clock may be set: we look at it at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const LOOK_SOON: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_secs(2);
/// One change may make another one due; never so many.
const ROUNDS: usize = 8;

/// Keeps the ring.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(super) store: Arc<dyn Store>,
    pub(super) schedule: Schedule,
    pub(super) keys: Vec<KeyLife>,
    vault: Vault,
    clock: Arc<dyn Clock>,
    metrics: KeyMetrics,
    opened: HashMap<Thumbprint, Opened>,
    ring: Arc<SigningRing>,
}

/// A key in memory. Its private half is dropped when it has ceased to sign.
#[derive(Debug)]
struct Opened {
    public: Jwk,
    verifier: VerifyingKey,
    signer: Option<Arc<SigningKey>>,
    /// Since when this process shows it to verifiers.
    visible_since: Timestamp,
}

impl Keeper {
    /// Opens the keys in the store, makes those that are missing, and does what has become due meanwhile.
    ///
    /// # Errors
    /// [`KeyError`] if the store fails, or if a key does not open with this seal.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        vault: Vault,
        schedule: Schedule,
        clock: Arc<dyn Clock>,
        metrics: KeyMetrics,
    ) -> Result<Self, KeyError> {
        let published = Arc::new(PublishedKeys::of(&[], schedule.max_age())?);
        let (signers, verifiers) = (Vec::new(), HashMap::new());
        let ring = SigningRing { current: ArcSwap::from_pointee(Snapshot { signers, verifiers, published }) };
        let (keys, opened) = (Vec::new(), HashMap::new());
        let mut keeper = Self { store, schedule, keys, vault, clock, metrics, opened, ring: Arc::new(ring) };
        keeper.keep_up().await?;
        Ok(keeper)
    }

    /// The ring that this keeps.
    pub(crate) fn ring(&self) -> Arc<SigningRing> {
        Arc::clone(&self.ring)
    }

    /// Starts to follow the schedule and to answer operators; what they revoke counts among the revocations.
    pub(crate) fn start(mut self, lifecycle: &Lifecycle, revocations: Arc<Revocations>) -> KeyDesk {
        let (desk, mut orders) = KeyDesk::open();
        lifecycle.spawn_background("signing_keys", async move {
            loop {
                let pause = self.pause_after_keeping_up().await;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    Some(order) = orders.recv() => self.answer(order, &revocations).await,
                }
            }
        });
        desk
    }

    async fn pause_after_keeping_up(&mut self) -> Duration {
        if let Err(error) = self.keep_up().await {
            self.metrics.failed();
            let error = crate::error_chain(&error);
            tracing::error!(
                event.name = "keys.failed",
                error,
                "the signing keys cannot be changed as is due"
            );
            return RETRY;
        }
        let next = self.schedule.next(&self.keys).map_or(LOOK_EVERY, |next| {
            Duration::from_secs(next.as_secs()).saturating_sub(self.clock.since_epoch())
        });
        next.clamp(LOOK_SOON, LOOK_EVERY)
    }

    async fn keep_up(&mut self) -> Result<(), KeyError> {
        self.reload().await?;
        for _ in 0..ROUNDS {
            let steps = self.schedule.due(&self.keys, self.now());
            if steps.is_empty() {
                break;
            }
            for step in steps {
                self.take(step).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, step: Step) -> Result<(), KeyError> {
        let at = self.now();
        let changes = match step {
            Step::Begin(algorithm) => vec![self.make(algorithm, KeyLife::active).await?],
            Step::Publish(algorithm) => vec![self.make(algorithm, KeyLife::published).await?],
            Step::Activate { id, retires } => {
                let retire = retires.map(|id| KeyChange::Retire { id, at });
                retire.into_iter().chain([KeyChange::Activate { id, at }]).collect()
            }
            Step::Retire(id) => vec![KeyChange::Retire { id, at }],
            Step::Remove(key) => vec![KeyChange::Remove(key)],
        };
        self.turn(changes, None).await
    }

    /// Makes a key that is about to join; nobody sees it until a turn has put it on record.
    pub(super) async fn make(
        &mut self,
        algorithm: Algorithm,
        life: fn(Thumbprint, Algorithm, Timestamp) -> KeyLife,
    ) -> Result<KeyChange, KeyError> {
        let Made { key, sealed } = self.vault.make(algorithm).await?;
        let life = life(key.thumbprint(), algorithm, self.now());
        self.admit(key);
        Ok(KeyChange::Add { key: life, sealed })
    }

    /// Puts changes on record, and then in force.
    pub(super) async fn turn(
        &mut self,
        changes: Vec<KeyChange>,
        asked_by: Option<u32>,
    ) -> Result<(), KeyError> {
        let turn = KeyTurn { changes, at: self.now(), asked_by };
        // Whether a commit that failed was made after all is learnt by the reload that comes before anything else.
        self.store.commit(vec![Entry::Keys(turn.clone())]).await?;
        for change in &turn.changes {
            change.apply(&mut self.keys);
            self.metrics.changed(change);
            let (key, change) = (change.key(), change.as_str());
            tracing::info!(event.name = "keys.changed", key.id = %key, change, "a signing key changed");
        }
        self.show()?;
        self.saw_the_new(&turn.changes);
        Ok(())
    }

    /// Reads the keys from the store, which alone knows what is so.
    pub(super) async fn reload(&mut self) -> Result<(), KeyError> {
        let stored = self.store.keys().await?;
        let strange = |key: &&StoredKey| !self.opened.contains_key(&key.life.id);
        let strange: Vec<StoredKey> = stored.iter().filter(strange).cloned().collect();
        if !strange.is_empty() {
            for key in self.vault.open(strange).await? {
                self.admit(key);
            }
        }
        self.opened.retain(|id, _| stored.iter().any(|key| key.life.id == *id));
        self.keys = stored.into_iter().map(|key| self.as_seen(key.life)).collect();
        self.show()
    }

    fn admit(&mut self, key: SigningKey) {
        let opened = Opened {
            public: key.public_jwk().clone(),
            verifier: key.verifying_key().clone(),
            visible_since: self.now(),
            signer: None,
        };
        let id = key.thumbprint();
        self.opened.insert(id, Opened { signer: Some(Arc::new(key)), ..opened });
    }

    /// SECURITY: the lead is time in which verifiers could fetch the key. While we were down they could not.
    fn as_seen(&self, mut key: KeyLife) -> KeyLife {
        if let (Phase::Published, Some(opened)) = (key.phase(), self.opened.get(&key.id)) {
            key.published_at = key.published_at.max(opened.visible_since);
        }
        key
    }

    /// A slow commit may lie between the making of a key and its first showing.
    fn saw_the_new(&mut self, changes: &[KeyChange]) {
        let now = self.now();
        for change in changes {
            if let (KeyChange::Add { key, .. }, Some(opened)) = (change, self.opened.get_mut(&change.key())) {
                opened.visible_since = now.max(key.published_at);
            }
        }
        self.keys = self.keys.iter().map(|key| self.as_seen(*key)).collect();
    }

    /// Lets requests see the keys as they are.
    fn show(&mut self) -> Result<(), KeyError> {
        let (mut signers, mut verifiers) = (Vec::new(), HashMap::new());
        let mut shown: [Vec<&Jwk>; 3] = Default::default();
        for key in &self.keys {
            if let (Phase::Retired, Some(opened)) = (key.phase(), self.opened.get_mut(&key.id)) {
                opened.signer = None;
            }
        }
        let [active, published, retired] = &mut shown;
        for key in &self.keys {
            let Some(opened) = self.opened.get(&key.id) else { continue };
            verifiers.insert(key.id, opened.verifier.clone());
            match key.phase() {
                Phase::Active => {
                    signers.extend(opened.signer.clone());
                    active.push(&opened.public);
                }
                Phase::Published => published.push(&opened.public),
                Phase::Retired => retired.push(&opened.public),
            }
        }
        let published = Arc::new(PublishedKeys::of(&shown.concat(), self.schedule.max_age())?);
        self.ring.current.store(Arc::new(Snapshot { signers, verifiers, published }));
        self.metrics.show(&self.keys);
        Ok(())
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}

#[cfg(test)]
mod tests;
