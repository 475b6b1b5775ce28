//! What everything else stands on: clock, store, ledger, keys, issuers.
//! Not here: what is built on it.

use std::path::PathBuf;
use std::sync::Arc;

use symbolon_audit::{Event, Outcome, Record, RefusalCounters};
use symbolon_daemon::{Clock, Lifecycle, SystemClock};
use symbolon_http::client::GuardedClient;
use symbolon_identity::{IssuerUrl, Timestamp};
use symbolon_issuers::{IssuerSettings, Issuers, KeyPolicy};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::error::{Cause, StartError};
use crate::config::StoreConfig;
use crate::keys::SigningRing;
use crate::plan::Plan;
use crate::revoke::Revocations;
use crate::store::{Entry, Ledger, SqliteStore, Store};
use crate::upkeep::Upkeep;

/// So many kinds of refused strangers are told apart within ten seconds.
const COUNTERS: usize = 4096;

/// The parts that others share.
#[derive(Debug)]
pub(super) struct Foundation {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Ledger,
    pub(super) keys: Arc<SigningRing>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) strangers: Arc<RefusalCounters>,
    lifecycle: Lifecycle,
}

impl Foundation {
    /// Opens the store and the signing keys, and starts what keeps them.
    pub(super) async fn lay(
        plan: &Plan,
        metrics: &Metrics,
        lifecycle: &Lifecycle,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&plan.config.store.sqlite).await?);
        let now = Timestamp::from_secs_saturating(clock.unix_seconds());
        let keys = Arc::new(SigningRing::open(&*store, &plan.seal, now).await?);
        let revocations = Arc::new(Revocations::open(&*store, now).await?);
        let ledger = Ledger::start(Arc::clone(&store), metrics.ledger.clone(), lifecycle);
        let strangers = Arc::new(RefusalCounters::new(COUNTERS));
        Upkeep {
            store: Arc::clone(&store),
            ledger: ledger.clone(),
            strangers: Arc::clone(&strangers),
            clock: Arc::clone(&clock),
            revocations: Arc::clone(&revocations),
            keep_decisions: plan.config.store.keep_decisions.as_duration(),
        }
        .start(lifecycle);
        Ok(Self { clock, store, ledger, keys, revocations, strangers, lifecycle: lifecycle.clone() })
    }

    /// Puts the start on record. A broker that cannot do that could not answer anything.
    pub(super) async fn announce(&self, issuer: &IssuerUrl) -> Result<(), StartError> {
        let key = self.keys.active().key_id().to_owned();
        let started = Record::new(Event::ProgramStarted, self.now(), Outcome::Success)
            .with_detail("issuer", issuer.as_str())
            .with_detail("version", env!("CARGO_PKG_VERSION"))
            .with_detail("key", key.as_str());
        self.ledger.record(Entry::Event(Box::new(started))).await?;
        if self.keys.is_new() {
            let activated =
                Record::new(Event::KeyActivated, self.now(), Outcome::Success).with_detail("key", key);
            self.ledger.record(Entry::Event(Box::new(activated))).await?;
        }
        Ok(())
    }

    /// Sets up issuers and keeps their keys fresh, with the last good ones in `folder`.
    pub(super) fn issuers(
        &self,
        folder: PathBuf,
        settings: Vec<IssuerSettings>,
        client: &GuardedClient,
    ) -> Result<Arc<Issuers>, StartError> {
        let mut policy = KeyPolicy::default();
        if !settings.is_empty() {
            std::fs::create_dir_all(&folder)
                .map_err(|source| Cause::Folder { path: folder.clone(), source })?;
            policy.directory = Some(folder);
        }
        let issuers = Arc::new(Issuers::new(settings, policy, client.clone(), self.now())?);
        let (refreshed, clock) = (Arc::clone(&issuers), Arc::clone(&self.clock));
        let now = move || Timestamp::from_secs_saturating(clock.unix_seconds());
        // The lifecycle ends the task; the token that the loop asks for is never cancelled.
        self.lifecycle.spawn_background("issuer_keys", refreshed.refresh_loop(now, CancellationToken::new()));
        Ok(issuers)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}

/// The folder for the last good keys of issuers.
pub(super) fn issuer_keys(store: &StoreConfig) -> PathBuf {
    store.issuer_keys.clone().unwrap_or_else(|| {
        let mut name = store.sqlite.as_os_str().to_owned();
        name.push(".issuer-keys");
        PathBuf::from(name)
    })
}
