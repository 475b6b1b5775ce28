//! What everything else stands on: clock, store, ledger, keys, issuers.
//! Not here: what is built on it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use symbolon_audit::{Event, Outcome, Record, RefusalCounters, Repeats};
use symbolon_daemon::{Clock, Lifecycle, Readiness, SystemClock};
use symbolon_http::client::GuardedClient;
use symbolon_http::tls::ServerTls;
use symbolon_identity::{IssuerUrl, Timestamp};
use symbolon_issuers::{IssuerSettings, Issuers, KeyPolicy, SetupError};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::error::{Cause, StartError};
use crate::attest::Attestors;
use crate::audit::Audit;
use crate::config::StoreConfig;
use crate::kept::{Certificate, Kept};
use crate::keys::{Keeper, KeyDesk, Seal, SigningRing, Vault};
use crate::metrics::TokenMetrics;
use crate::own_tokens::OwnTokens;
use crate::pins::{Following, Pins};
use crate::plan::Plan;
use crate::policies::Policies;
use crate::revoke::Revocations;
use crate::store::{Entry, Ledger, SqliteStore, Store};
use crate::unrecorded::Unrecorded;
use crate::upkeep::Upkeep;

/// So many kinds of refused strangers are told apart within ten seconds.
const COUNTERS: usize = 4096;

const GROUP_OR_OTHERS_WRITE: u32 = 0o022;

/// [`Issuers::new`], or [`Issuers::sharing`].
type SetUp = fn(Vec<IssuerSettings>, KeyPolicy, GuardedClient, Timestamp) -> Result<Issuers, SetupError>;

/// The parts that others share.
#[derive(Debug)]
pub(super) struct Foundation {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Ledger,
    pub(super) keys: Arc<SigningRing>,
    pub(super) key_desk: KeyDesk,
    pub(super) revocations: Arc<Revocations>,
    pub(super) strangers: Arc<RefusalCounters>,
    /// What is refused without a record.
    pub(super) unrecorded: Arc<Unrecorded>,
    pub(super) repeats: Arc<Repeats>,
    lifecycle: Lifecycle,
}

impl Foundation {
    /// Opens the store and the signing keys, and starts what keeps them.
    pub(super) async fn lay(
        plan: &Plan,
        metrics: &Metrics,
        lifecycle: &Lifecycle,
        readiness: &Readiness,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&plan.config.store.sqlite).await?);
        let now = Timestamp::from_secs_saturating(clock.unix_seconds());
        let revocations = Arc::new(Revocations::open(&*store, now).await?);
        let keeper = Keeper::open(
            Arc::clone(&store),
            Vault::new(seal(plan, &*store).await?),
            plan.schedule.clone(),
            Arc::clone(&clock),
            metrics.keys.clone(),
        )
        .await?;
        let keys = keeper.ring();
        let key_desk = keeper.start(lifecycle, Arc::clone(&revocations));
        let ledger = Ledger::start(Arc::clone(&store), metrics.ledger.clone(), lifecycle, readiness);
        let (strangers, repeats) = (Arc::new(RefusalCounters::new(COUNTERS)), Arc::<Repeats>::default());
        Upkeep {
            store: Arc::clone(&store),
            ledger: ledger.clone(),
            strangers: Arc::clone(&strangers),
            repeats: Arc::clone(&repeats),
            clock: Arc::clone(&clock),
            revocations: Arc::clone(&revocations),
            keep_decisions: plan.config.store.keep_decisions.as_duration(),
        }
        .start(lifecycle);
        let lifecycle = lifecycle.clone();
        let unrecorded = Arc::default();
        Ok(Self {
            clock,
            store,
            ledger,
            keys,
            key_desk,
            revocations,
            strangers,
            unrecorded,
            repeats,
            lifecycle,
        })
    }

    /// Puts the start on record. A broker that cannot do that could not answer anything.
    pub(super) async fn announce(&self, issuer: &IssuerUrl) -> Result<(), StartError> {
        let started = Record::new(Event::ProgramStarted, self.now(), Outcome::Success)
            .with_detail("issuer", issuer.as_str())
            .with_detail("version", env!("CARGO_PKG_VERSION"))
            .with_detail("keys", self.keys.signing_ids());
        self.ledger.record(Entry::Event(Box::new(started))).await?;
        Ok(())
    }

    /// What puts the outcomes of requests on record.
    pub(super) fn audit(&self, metrics: &TokenMetrics) -> Audit {
        Audit {
            ledger: self.ledger.clone(),
            strangers: Arc::clone(&self.strangers),
            repeats: Arc::clone(&self.repeats),
            unrecorded: Arc::clone(&self.unrecorded),
            metrics: metrics.clone(),
        }
    }

    /// What verifies the tokens that this issuer signs with these keys.
    pub(super) fn own_tokens(&self, issuer: &IssuerUrl) -> OwnTokens {
        OwnTokens::new(issuer.clone(), Arc::clone(&self.keys), Arc::clone(&self.revocations))
    }

    /// Sets up issuers by `set_up` and keeps their keys fresh, with the last good ones in `folder`.
    pub(super) fn issuers(
        &self,
        folder: PathBuf,
        settings: Vec<IssuerSettings>,
        client: &GuardedClient,
        set_up: SetUp,
    ) -> Result<Arc<Issuers>, StartError> {
        let mut policy = KeyPolicy::default();
        if !settings.is_empty() {
            private_folder(&folder).map_err(|source| Cause::Folder { path: folder.clone(), source })?;
            policy.directory = Some(folder);
        }
        let issuers = Arc::new(set_up(settings, policy, client.clone(), self.now())?);
        let (refreshed, clock) = (Arc::clone(&issuers), Arc::clone(&self.clock));
        let now = move || Timestamp::from_secs_saturating(clock.unix_seconds());
        // The lifecycle ends the task; the token that the loop asks for is never cancelled.
        self.lifecycle.spawn_background("issuer_keys", refreshed.refresh_loop(now, CancellationToken::new()));
        Ok(issuers)
    }

    /// Follows the clusters of all attestors, and ends the tokens of pods that end or get worse.
    ///
    /// `labels_name` says whether names or groups of workloads are made of labels.
    pub(super) fn follow_pods(
        &self,
        attestors: &Attestors,
        pins: &Arc<Pins>,
        (policies, labels_name): (&Arc<Policies>, bool),
    ) {
        for confirmer in attestors.confirmers() {
            let (pins, policies) = (Arc::clone(pins), Arc::clone(policies));
            let clock = Arc::clone(&self.clock);
            let following = Following::new(Arc::clone(confirmer), pins, (policies, labels_name), clock);
            self.lifecycle.spawn_background("pods", following.follow());
        }
    }

    /// A certificate that is kept in the cluster, if there is to be one; it is renewed from now on.
    pub(super) async fn kept_certificate(&self, plan: &Plan) -> Result<Option<ServerTls>, StartError> {
        let Some(kept) = &plan.config.kept else { return Ok(None) };
        let Some(config) = &kept.certificate else { return Ok(None) };
        let opened =
            Certificate::open(Kept::new(kept.clone()), config.clone(), Arc::clone(&self.clock)).await?;
        let tls = opened.tls();
        self.lifecycle.spawn_background("certificate", opened.run(self.lifecycle.clone()));
        Ok(Some(tls))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}

/// What seals the signing keys: as the configuration says, or as it is kept in the cluster.
async fn seal(plan: &Plan, store: &dyn Store) -> Result<Arc<Seal>, StartError> {
    match (&plan.seal, &plan.config.kept) {
        (Some(seal), _) => Ok(Arc::clone(seal)),
        (None, Some(config)) => {
            let is_sealed = !store.keys().await?.is_empty();
            Ok(Arc::new(Kept::new(config.clone()).seal(is_sealed).await?))
        }
        (None, None) => Err(Cause::NoSeal.into()),
    }
}

/// Makes a folder for ourselves. What lies in it decides whose signatures we believe, so nobody else may write there.
fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::metadata(path)?;
    let ours = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != ours {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & GROUP_OR_OTHERS_WRITE != 0 {
        return Err(io::Error::other("its group or everybody can write in it"));
    }
    Ok(())
}

/// The folder for the last good keys of issuers.
pub(super) fn issuer_keys(store: &StoreConfig) -> PathBuf {
    store.issuer_keys.clone().unwrap_or_else(|| {
        let mut name = store.sqlite.as_os_str().to_owned();
        name.push(".issuer-keys");
        PathBuf::from(name)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_for_issuers_keys_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        private_folder(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        for (mode, is_taken) in [(0o755, true), (0o770, false), (0o1777, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(private_folder(&path).is_ok(), is_taken, "{mode:o}");
        }
    }
}
