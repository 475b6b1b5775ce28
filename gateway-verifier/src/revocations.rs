//! What the issuers have taken back, as far as this gateway knows, and whether it knows it well enough.
//! Not here: how it hears of it (`follow`), and which tokens a revocation hits (`symbolon-token`).

mod follow;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use symbolon_identity::{IssuerName, ReasonCode, Timestamp};
use symbolon_token::{Revocation, RevocationSet, VerifiedToken};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::caller::VerifiedCaller;
use crate::config::{OnStale, RevocationsConfig};

pub use follow::{Follower, SetupError};

/// The revocations of one issuer, as its feed tells them.
#[derive(Debug)]
pub struct Feed {
    known: ArcSwap<RevocationSet>,
    /// When we were told everything for the last time: milliseconds after `begun`, plus one; zero is never.
    told: AtomicU64,
    begun: Instant,
    max_stale: Duration,
    on_stale: OnStale,
    changes: watch::Sender<u64>,
    stop: CancellationToken,
}

/// The feeds of all issuers that have one.
#[derive(Debug, Clone, Default)]
pub struct Feeds(HashMap<IssuerName, Arc<Feed>>);

impl Feed {
    /// A feed; it begins with what an earlier one knew.
    #[must_use]
    pub fn new(config: &RevocationsConfig, before: Option<&Self>) -> Self {
        Self {
            known: ArcSwap::from_pointee(
                before.map(|feed| RevocationSet::clone(&feed.known.load())).unwrap_or_default(),
            ),
            told: AtomicU64::new(before.map_or(0, |feed| feed.told.load(Ordering::Acquire))),
            begun: before.map_or_else(Instant::now, |feed| feed.begun),
            max_stale: config.max_stale.as_duration(),
            on_stale: config.on_stale,
            changes: watch::Sender::new(0),
            stop: CancellationToken::new(),
        }
    }

    /// Whether a token is revoked, as far as is known.
    #[must_use]
    pub fn revokes(&self, token: &VerifiedToken, now: Timestamp) -> bool {
        self.known.load().hits(token, now)
    }

    /// Whether a token stands. It is asked on every request, also for tokens that were verified before.
    ///
    /// # Errors
    /// `revoked`, or `revocation_stale` if what is known is too old and the configuration says to refuse then.
    pub fn check(&self, token: &VerifiedToken, now: Timestamp) -> Result<(), ReasonCode> {
        // What was revoked stays revoked, however old the news.
        if self.revokes(token, now) {
            return Err(ReasonCode::Revoked);
        }
        match self.on_stale {
            OnStale::Refuse if self.is_stale() => Err(ReasonCode::RevocationStale),
            OnStale::Refuse | OnStale::Accept => Ok(()),
        }
    }

    /// Whether what is known is older than it may be.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let told = self.told.load(Ordering::Acquire);
        let age = self.begun.elapsed().saturating_sub(Duration::from_millis(told.saturating_sub(1)));
        told == 0 || age > self.max_stale
    }

    /// The number of things that are revoked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.load().len()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rings with each change, for those who hold something open.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Ends whoever follows it.
    pub fn end(&self) {
        self.stop.cancel();
    }

    /// Ready once nobody follows it any more.
    pub async fn ended(&self) {
        self.stop.cancelled().await;
    }

    fn take(&self, known: RevocationSet) {
        self.known.store(Arc::new(known));
        self.changes.send_modify(|changes| *changes = changes.saturating_add(1));
    }

    fn add(&self, more: &[Revocation]) {
        let mut known = RevocationSet::clone(&self.known.load());
        for revocation in more {
            known.add(revocation.clone());
        }
        self.take(known);
    }

    fn is_current(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.told.store(millis.saturating_add(1), Ordering::Release);
    }
}

impl Feeds {
    /// The feed of an issuer, if it has one.
    #[must_use]
    pub fn of(&self, issuer: &IssuerName) -> Option<&Arc<Feed>> {
        // Almost always none has one; then a request costs no look-up.
        if self.0.is_empty() { None } else { self.0.get(issuer) }
    }

    /// Whether the feed of a caller's issuer revokes its token.
    #[must_use]
    pub fn revoke(&self, caller: &VerifiedCaller, now: Timestamp) -> bool {
        self.of(caller.issuer_name()).is_some_and(|feed| feed.revokes(caller.token(), now))
    }

    /// All feeds.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Feed>> {
        self.0.values()
    }

    /// Adds the feed of an issuer.
    pub fn add(&mut self, issuer: IssuerName, feed: Arc<Feed>) {
        self.0.insert(issuer, feed);
    }
}
