//! The keys of one issuer: the good set at hand, its copy on disk, and the fetches that renew it.
//! Not here: verifying tokens (`issuer`), and how often a fetch may happen (`attempts`).

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use symbolon_http::client::GuardedClient;
use symbolon_identity::{IssuerName, Timestamp};
use symbolon_jws::Algorithm;
use tokio::sync::{Notify, watch};

use crate::attempts::{Advice, Attempts, Patience};
use crate::disk::Copy;
use crate::key_set::KeySet;
use crate::source::Source;
use crate::{FetchError, IssuerSettings, KeyPolicy, KeySource, KeyStatus, SetupError};

/// How long a caller waits for a fetch that may bring its key: three documents, each within its own limit.
const WAIT: Duration = Duration::from_secs(10);
/// The first pause after a failed fetch of an issuer that has never had any keys: its server may be starting just now.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// The keys of one issuer.
pub(crate) struct Keyring {
    issuer: IssuerName,
    algorithms: Option<Vec<Algorithm>>,
    policy: KeyPolicy,
    source: Source,
    copy: Option<Arc<Copy>>,
    keys: ArcSwapOption<KeySet>,
    /// How often the set has changed.
    generation: watch::Sender<u64>,
    failures: AtomicU32,
    attempts: Mutex<Attempts>,
    /// Rings when a caller wants a fetch.
    wanted: Notify,
    /// The number of the last fetch that ended.
    ended: watch::Sender<u64>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

/// Why waiting for a key is of no use.
pub(crate) enum Missing {
    /// A fetch succeeded since the key was first asked for: it does not exist.
    Certain,
    /// It may exist; try again after this long.
    Later(Duration),
}

impl Keyring {
    /// Takes what keys are at hand: those of the configuration, or the copy on disk.
    pub(crate) fn new(
        settings: &IssuerSettings,
        policy: KeyPolicy,
        client: Arc<GuardedClient>,
        now: Timestamp,
    ) -> Result<Self, SetupError> {
        let source = Source::new(settings, client)?;
        let copy = policy.directory.as_deref().filter(|_| source.is_remote()).map(|directory| {
            Arc::new(Copy::new(directory, &settings.name, settings.issuer.clone(), source.description()))
        });
        let keys = first_keys(settings, copy.as_deref(), now)?;
        Ok(Self {
            issuer: settings.name.clone(),
            algorithms: settings.algorithms.clone(),
            policy,
            source,
            copy,
            keys: ArcSwapOption::from_pointee(keys),
            generation: watch::Sender::new(0),
            failures: AtomicU32::new(0),
            attempts: Mutex::default(),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Whether asking again can bring other keys.
    pub(crate) fn can_change(&self) -> bool {
        self.source.can_change()
    }

    /// The set at hand, which may be too old.
    pub(crate) fn load(&self) -> Guard<Option<Arc<KeySet>>> {
        self.keys.load()
    }

    /// The set, if it is young enough.
    pub(crate) fn usable<'a>(&self, keys: Option<&'a KeySet>, now: Timestamp) -> Option<&'a KeySet> {
        keys.filter(|keys| keys.is_fresh(now, self.policy.max_stale))
    }

    pub(crate) fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// Tells of each change of the set.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    pub(crate) fn status(&self, now: Timestamp) -> KeyStatus {
        let keys = self.load();
        KeyStatus {
            keys: keys.as_ref().map_or(0, |keys| keys.thumbprints().len()),
            fetched_at: keys.as_ref().and_then(|keys| keys.fetched_at()),
            usable: self.usable(keys.as_deref(), now).is_some(),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    /// Fetches the keys now; if somebody else does, afterwards.
    pub(crate) async fn refresh(&self, now: Timestamp) -> Result<Option<Duration>, FetchError> {
        let _one_at_a_time = self.fetching.lock().await;
        // INVARIANT: an end follows each start, also if this future is dropped; else callers would wait for nothing.
        let attempt = Attempt::start(self, now);
        let outcome = self.fetch(now).await;
        attempt.end(outcome.is_ok());
        outcome
    }

    async fn fetch(&self, now: Timestamp) -> Result<Option<Duration>, FetchError> {
        let text = self.source.fetch().await?;
        let keys = KeySet::parse(&text.json, self.algorithms.as_deref(), Some(now))?;
        self.replace(keys);
        if let Some(copy) = self.copy.clone() {
            let written = tokio::task::spawn_blocking(move || copy.write(&text.json, now)).await;
            if !matches!(written, Ok(Ok(()))) {
                tracing::warn!(issuer.name = %self.issuer, "the copy of the issuer's keys cannot be written");
            }
        }
        Ok(text.max_age)
    }

    fn replace(&self, keys: KeySet) {
        let (before, none) = (self.load(), HashSet::new());
        let old = before.as_ref().map_or(&none, |before| before.thumbprints());
        let added = keys.thumbprints().difference(old).count();
        let removed = old.difference(keys.thumbprints()).count();
        self.keys.store(Some(Arc::new(keys)));
        if added + removed > 0 {
            self.generation.send_modify(|generation| *generation = generation.wrapping_add(1));
            tracing::info!(
                issuer.name = %self.issuer,
                keys.added = added,
                keys.removed = removed,
                "the issuer's keys changed"
            );
        }
    }

    /// Waits for a fetch that may bring the missing key, if one may happen now.
    ///
    /// The task of [`Issuers::refresh_loop`](crate::Issuers::refresh_loop) makes the fetch, so that a caller that hangs
    /// up does not end it.
    pub(crate) async fn await_key(
        &self,
        key_id: Option<&str>,
        may_wait: bool,
        now: Timestamp,
    ) -> Result<(), Missing> {
        let number = match self.advice(key_id, may_wait, now) {
            Advice::Certain => return Err(Missing::Certain),
            Advice::Later(later) => return Err(Missing::Later(later.min(self.retry().unwrap_or(later)))),
            Advice::Ask(number) => {
                self.wanted.notify_one();
                number
            }
            Advice::Wait(number) => number,
        };
        let mut ended = self.ended.subscribe();
        match tokio::time::timeout(WAIT, ended.wait_for(|ended| *ended >= number)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Missing::Later(self.policy.min_interval)),
        }
    }

    fn advice(&self, key_id: Option<&str>, may_wait: bool, now: Timestamp) -> Advice {
        let patience = Patience { min_interval: self.policy.min_interval, may_wait };
        let keys = self.load();
        let mut attempts = self.attempts();
        match self.usable(keys.as_deref(), now) {
            Some(_) => attempts.missing_key(key_id, patience, now),
            None => attempts.missing_set(patience, now),
        }
    }

    /// The pause after a failed fetch if there have never been any keys; it doubles up to the least interval.
    pub(crate) fn retry(&self) -> Option<Duration> {
        let failures = self.failures.load(Ordering::Relaxed);
        if failures == 0 || self.load().is_some() {
            return None;
        }
        let factor = 1_u32 << failures.saturating_sub(1).min(10);
        Some(FIRST_RETRY.saturating_mul(factor).min(self.policy.min_interval))
    }

    /// Returns when a caller waits for a fetch.
    pub(crate) async fn wish(&self) {
        loop {
            self.wanted.notified().await;
            // A fetch that started meanwhile has met the wish.
            if self.attempts().is_wanted() {
                return;
            }
        }
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch that has started. Dropped without an end, it has failed.
struct Attempt<'a> {
    keyring: &'a Keyring,
    success: bool,
}

impl<'a> Attempt<'a> {
    fn start(keyring: &'a Keyring, now: Timestamp) -> Self {
        keyring.attempts().start(now);
        Self { keyring, success: false }
    }

    fn end(mut self, success: bool) {
        self.success = success;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let failures = &self.keyring.failures;
        if self.success {
            failures.store(0, Ordering::Relaxed);
        } else {
            failures.fetch_add(1, Ordering::Relaxed);
        }
        let number = self.keyring.attempts().end(self.success);
        self.keyring.ended.send_replace(number);
    }
}

/// The keys that are there without asking anybody. A copy from the future is as old as now.
fn first_keys(
    settings: &IssuerSettings,
    copy: Option<&Copy>,
    now: Timestamp,
) -> Result<Option<KeySet>, SetupError> {
    let algorithms = settings.algorithms.as_deref();
    if let KeySource::Inline(json) = &settings.keys {
        let keys = KeySet::parse(json.as_bytes(), algorithms, None);
        return keys
            .map(Some)
            .map_err(|source| SetupError::InlineKeys { issuer: settings.name.clone(), source });
    }
    let stored = copy.and_then(Copy::read);
    Ok(stored.and_then(|(json, fetched_at)| KeySet::parse(&json, algorithms, Some(fetched_at.min(now))).ok()))
}
