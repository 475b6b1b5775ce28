use std::path::Path;

use serde_json::Value;
use symbolon_config::Secret;
use symbolon_daemon::{FixedClock, Registry};
use symbolon_jws::base64url;

use super::*;
use crate::keys::Seal;
use crate::keys::desk::{Ask, KeyRefusal, KeyReport};
use crate::store::SqliteStore;

const START: u64 = 1_800_000_000;
const UID: u32 = 7;

/// A ring on a file, with a clock that stands still.
struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<FixedClock>,
    schedule: Schedule,
}

impl Bench {
    fn new(algorithms: &[Algorithm]) -> Self {
        let seconds = Duration::from_secs;
        let schedule = Schedule {
            rotate_every: seconds(100),
            lead: seconds(10),
            retain: seconds(20),
            algorithms: algorithms.iter().copied().collect(),
        };
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(FixedClock::at(START)), schedule }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("broker.db")
    }

    async fn open(&self) -> Keeper {
        let store = Arc::new(SqliteStore::open(&self.file()).await.unwrap());
        let seal = Seal::from_key(&Secret::from(base64url::encode([7; 32]))).unwrap();
        let clock: Arc<dyn Clock> = Arc::<FixedClock>::clone(&self.clock);
        let metrics = KeyMetrics::register(&mut Registry::new());
        Keeper::open(store, Vault::new(Arc::new(seal)), self.schedule.clone(), clock, metrics).await.unwrap()
    }

    async fn at(&self, keeper: &mut Keeper, second: u64) {
        self.clock.set(START + second);
        keeper.keep_up().await.unwrap();
    }
}

fn published(keeper: &Keeper) -> Vec<String> {
    let document: Value = serde_json::from_slice(&keeper.ring().published().body).unwrap();
    let kids = document["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
    kids.collect()
}

fn signs(keeper: &Keeper) -> String {
    keeper.ring().signer(Algorithm::Es256).unwrap().key_id().to_owned()
}

/// The records of the audit chain about keys: the event and the key.
async fn events(file: &Path) -> Vec<(String, String)> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT line FROM audit ORDER BY seq").fetch_all(&mut connection).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|record| {
            let record = if record["event.name"].is_string() { record } else { record["record"].clone() };
            (text(&record["event.name"]), text(&record["details"]["key"]))
        })
        .filter(|(event, _)| event.starts_with("key."))
        .collect()
}

async fn carry_out(keeper: &mut Keeper, ask: Ask) -> Result<KeyReport, KeyRefusal> {
    keeper.carry_out(ask, UID).await
}

#[tokio::test]
async fn the_first_keys_sign_at_once_and_a_restart_keeps_them() {
    let algorithms = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
    let bench = Bench::new(&algorithms);
    let keeper = bench.open().await;
    let ids = keeper.ring().signing_ids();
    for algorithm in algorithms {
        assert_eq!(keeper.ring().signer(algorithm).unwrap().algorithm(), algorithm);
    }
    assert!(keeper.ring().signer(Algorithm::Ps256).is_none());
    assert_eq!(published(&keeper), ids);
    drop(keeper);
    let keeper = bench.open().await;
    assert_eq!(keeper.ring().signing_ids(), ids);
    assert_eq!(events(&bench.file()).await.len(), 3, "each key is on record once");
}

#[tokio::test]
async fn a_key_is_published_then_signs_then_stays_then_goes_and_all_of_it_is_on_record() {
    let bench = Bench::new(&[Algorithm::Es256]);
    let mut keeper = bench.open().await;
    let first = signs(&keeper);
    bench.at(&mut keeper, 88).await;
    assert_eq!(published(&keeper).len(), 1);
    let tag = keeper.ring().published().tag.clone();
    bench.at(&mut keeper, 89).await;
    let [_, second] = &published(&keeper)[..] else { panic!("two keys") };
    let second = second.clone();
    assert_ne!(keeper.ring().published().tag, tag, "a changed set has another tag");
    bench.at(&mut keeper, 99).await;
    assert_eq!(signs(&keeper), first);
    bench.at(&mut keeper, 100).await;
    assert_eq!(signs(&keeper), second);
    assert_eq!(published(&keeper), [second.clone(), first.clone()]);
    bench.at(&mut keeper, 120).await;
    assert_eq!(published(&keeper).len(), 2);
    bench.at(&mut keeper, 121).await;
    assert_eq!(published(&keeper), std::slice::from_ref(&second));
    let expected = [
        ("key.activated", &first),
        ("key.published", &second),
        ("key.retired", &first),
        ("key.activated", &second),
        ("key.removed", &first),
    ];
    let expected = expected.map(|(event, key)| (event.to_owned(), key.clone()));
    assert_eq!(events(&bench.file()).await, expected);
}

#[tokio::test]
async fn a_lead_in_which_nobody_could_fetch_the_key_does_not_count() {
    let bench = Bench::new(&[Algorithm::Es256]);
    let mut keeper = bench.open().await;
    let first = signs(&keeper);
    bench.at(&mut keeper, 89).await;
    drop(keeper);
    bench.clock.set(START + 500);
    let mut keeper = bench.open().await;
    assert_eq!(signs(&keeper), first);
    bench.at(&mut keeper, 510).await;
    assert_eq!(signs(&keeper), first);
    bench.at(&mut keeper, 511).await;
    assert_ne!(signs(&keeper), first);
}

#[tokio::test]
async fn a_revoked_key_leaves_at_once_and_a_fresh_one_signs() {
    let bench = Bench::new(&[Algorithm::Es256]);
    let mut keeper = bench.open().await;
    bench.at(&mut keeper, 89).await;
    let (first, before) = (signs(&keeper), published(&keeper));
    let id = first.parse().unwrap();
    let report = carry_out(&mut keeper, Ask::Revoke(id)).await.unwrap();
    assert_eq!(report.revoked.iter().map(|revoked| revoked.id).collect::<Vec<_>>(), [id]);
    assert!(!before.contains(&signs(&keeper)), "the published follower may have been seen, too");
    assert!(!published(&keeper).contains(&first));
    assert!(carry_out(&mut keeper, Ask::Revoke(id)).await.is_ok(), "again changes nothing");
    assert_eq!(events(&bench.file()).await.iter().filter(|(event, _)| event == "key.revoked").count(), 1);
    let now = signs(&keeper);
    drop(keeper);
    let keeper = bench.open().await;
    assert_eq!(signs(&keeper), now);
    assert!(!published(&keeper).contains(&first), "it does not come back");
    assert_eq!(keeper.store.revoked_kids(keeper.now()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn operators_are_told_what_cannot_be_done() {
    let bench = Bench::new(&[Algorithm::Es256]);
    let mut keeper = bench.open().await;
    let first: Thumbprint = signs(&keeper).parse().unwrap();
    let strange = Thumbprint::from_bytes([1; 32]);
    for ask in [Ask::Retire(strange), Ask::Revoke(strange)] {
        assert!(matches!(carry_out(&mut keeper, ask).await, Err(KeyRefusal::Unknown)), "{ask:?}");
    }
    assert!(matches!(carry_out(&mut keeper, Ask::Retire(first)).await, Err(KeyRefusal::Signs)));
    let other = carry_out(&mut keeper, Ask::Rotate(Some(Algorithm::Rs256))).await;
    assert!(matches!(other, Err(KeyRefusal::NotInUse(Algorithm::Rs256))));
    let report = carry_out(&mut keeper, Ask::Rotate(None)).await.unwrap();
    let second = report.keys[1].life.id;
    assert_eq!(report.keys[1].next_change.as_secs(), START + 11);
    assert!(matches!(carry_out(&mut keeper, Ask::Rotate(None)).await, Err(KeyRefusal::UnderWay)));
    assert!(matches!(carry_out(&mut keeper, Ask::Retire(first)).await, Err(KeyRefusal::Signs)));
    carry_out(&mut keeper, Ask::Retire(second)).await.unwrap();
    keeper.keep_up().await.unwrap();
    assert_eq!(published(&keeper), [first.to_string()], "a key that never signed goes at once");
    carry_out(&mut keeper, Ask::Rotate(Some(Algorithm::Es256))).await.unwrap();
    bench.at(&mut keeper, 11).await;
    assert!(matches!(carry_out(&mut keeper, Ask::Retire(first)).await, Err(KeyRefusal::Retired)));
}

#[tokio::test]
async fn an_algorithm_that_goes_out_of_use_leaves_the_ring() {
    let mut bench = Bench::new(&[Algorithm::Es256, Algorithm::EdDsa]);
    drop(bench.open().await);
    bench.schedule.algorithms.remove(&Algorithm::EdDsa);
    let mut keeper = bench.open().await;
    assert!(keeper.ring().signer(Algorithm::EdDsa).is_none());
    assert_eq!(published(&keeper).len(), 2, "its tokens are still valid");
    bench.at(&mut keeper, 21).await;
    assert_eq!(published(&keeper), [signs(&keeper)]);
}

#[tokio::test]
async fn a_clock_that_is_put_back_removes_nothing() {
    let bench = Bench::new(&[Algorithm::Es256]);
    let mut keeper = bench.open().await;
    bench.at(&mut keeper, 89).await;
    bench.at(&mut keeper, 100).await;
    let keys = published(&keeper);
    bench.clock.set(START - 10_000);
    keeper.keep_up().await.unwrap();
    assert_eq!(published(&keeper), keys);
    drop(keeper);
    assert_eq!(published(&bench.open().await), keys);
}
