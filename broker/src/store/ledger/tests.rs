use std::sync::atomic::{AtomicBool, Ordering};

use symbolon_audit::{Event, Outcome, Record};
use symbolon_identity::{DecisionId, ProviderName, Timestamp};

use super::*;
use crate::keys::RevokedKey;
use crate::pins::{Pin as Pinned, PodName};
use crate::record::DecisionRecord;
use crate::revoke::Standing;
use crate::store::{StoreFuture, StoredKey};

/// A store whose disk can be full, or that falls over.
#[derive(Debug, Default)]
struct Disk {
    is_full: AtomicBool,
    panics: AtomicBool,
}

impl Disk {
    fn outcome<'a, T: Send + 'a>(&'a self, value: T) -> StoreFuture<'a, T> {
        assert!(!self.panics.load(Ordering::SeqCst), "the store falls over");
        let is_full = self.is_full.load(Ordering::SeqCst);
        Box::pin(async move { if is_full { Err(StoreError::Row { table: "full" }) } else { Ok(value) } })
    }
}

impl Store for Disk {
    fn commit(&self, batch: Vec<Entry>) -> StoreFuture<'_, Vec<Verdict>> {
        self.outcome(batch.iter().map(|_| Verdict::Recorded).collect())
    }

    fn decision<'a>(&'a self, _: &'a DecisionId) -> StoreFuture<'a, Option<DecisionRecord>> {
        self.outcome(None)
    }

    fn recent_decisions(&self, _: u32) -> StoreFuture<'_, Vec<DecisionRecord>> {
        self.outcome(Vec::new())
    }

    fn keys(&self) -> StoreFuture<'_, Vec<StoredKey>> {
        self.outcome(Vec::new())
    }

    fn revoked_kids(&self, _: Timestamp) -> StoreFuture<'_, Vec<RevokedKey>> {
        self.outcome(Vec::new())
    }

    fn last_revocation(&self) -> StoreFuture<'_, u64> {
        self.outcome(0)
    }

    fn revocations_after(&self, _: u64) -> StoreFuture<'_, Vec<Standing>> {
        self.outcome(Vec::new())
    }

    fn pin<'a>(&'a self, _: &'a PodName) -> StoreFuture<'a, Option<Pinned>> {
        self.outcome(None)
    }

    fn pinned<'a>(&'a self, _: &'a ProviderName, _: Timestamp) -> StoreFuture<'a, Vec<String>> {
        self.outcome(Vec::new())
    }

    fn pods_with_tokens<'a>(&'a self, _: &'a ProviderName, _: Timestamp) -> StoreFuture<'a, Vec<String>> {
        self.outcome(Vec::new())
    }

    fn granted<'a>(&'a self, _: &'a PodName, _: Timestamp, _: u32) -> StoreFuture<'a, Vec<DecisionRecord>> {
        self.outcome(Vec::new())
    }

    fn probe(&self) -> StoreFuture<'_, ()> {
        self.outcome(())
    }

    fn prune(&self, _: Timestamp, _: Timestamp) -> StoreFuture<'_, u64> {
        self.outcome(0)
    }
}

fn ledger(disk: &Arc<Disk>, lifecycle: &Lifecycle, readiness: &Readiness) -> Ledger {
    let metrics = LedgerMetrics::register(&mut Registry::new());
    Ledger::start(Arc::<Disk>::clone(disk), metrics, lifecycle, readiness)
}

fn event() -> Entry {
    let now = Timestamp::from_secs(1000).unwrap();
    Entry::Event(Box::new(Record::new(Event::ProgramStarted, now, Outcome::Success)))
}

#[tokio::test]
async fn a_store_in_trouble_takes_us_out_of_service_until_a_probe_succeeds() {
    let (disk, lifecycle, readiness) =
        (Arc::<Disk>::default(), Lifecycle::new(Duration::from_secs(1)), Readiness::new());
    let ledger = ledger(&disk, &lifecycle, &readiness);
    assert_eq!(ledger.record(event()).await, Ok(Verdict::Recorded));
    disk.is_full.store(true, Ordering::SeqCst);
    assert_eq!(ledger.record(event()).await, Err(LedgerError::Unavailable));
    assert_eq!(readiness.waiting_for(), ["store"]);
    disk.is_full.store(false, Ordering::SeqCst);
    readiness.ready().await;
    assert_eq!(ledger.record(event()).await, Ok(Verdict::Recorded));
    lifecycle.shutdown();
    lifecycle.run().await;
}

#[tokio::test]
async fn a_ledger_that_ends_takes_the_program_with_it() {
    let (disk, lifecycle) = (Arc::<Disk>::default(), Lifecycle::new(Duration::from_secs(1)));
    let ledger = ledger(&disk, &lifecycle, &Readiness::new());
    disk.panics.store(true, Ordering::SeqCst);
    assert_eq!(ledger.record(event()).await, Err(LedgerError::Unavailable));
    assert_eq!(lifecycle.run().await, symbolon_daemon::Ended::Failed("the ledger ended"));
}

#[tokio::test]
async fn an_asked_for_end_is_no_failure() {
    let (disk, lifecycle) = (Arc::<Disk>::default(), Lifecycle::new(Duration::from_secs(1)));
    let _ledger = ledger(&disk, &lifecycle, &Readiness::new());
    lifecycle.shutdown();
    assert_eq!(lifecycle.run().await, symbolon_daemon::Ended::Drained);
}
