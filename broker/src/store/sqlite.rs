//! The embedded store: one SQLite file, for one broker.
//! Not here: the schema (`store::schema`), or who waits for a commit (`store::ledger`).

mod batch;
mod file;
mod keys;
mod pins;
mod pod_grants;
mod revocations;
mod rows;
mod uses;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use symbolon_identity::{DecisionId, Origin, ProviderName, Timestamp};
use tokio::sync::Mutex;

use super::{Entry, Store, StoreError, StoreFuture, StoredKey, Verdict, schema};
use crate::keys::RevokedKey;
use crate::pins::{Pin, PodName};
use crate::record::DecisionRecord;
use crate::revoke::Standing;
use batch::End;
use file::Claim;

const BUSY: Duration = Duration::from_secs(5);
const READERS: u32 = 2;

/// A store in one SQLite file: write-ahead log, flushed to disk with each commit.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    writer: Mutex<Writer>,
    readers: SqlitePool,
    /// None if we only look.
    _claim: Option<Claim>,
}

#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    /// What the next commit goes on from; none if that has to be read again.
    end: Option<End>,
}

impl SqliteStore {
    /// Opens the file, makes it if it is not there, and brings it up to the schema of this program.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be had, is in use, is newer, or its audit chain was cut.
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let claim = Claim::take(path)?;
        let options =
            SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).disable_statement_logging();
        let mut connection = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .connect()
            .await?;
        schema::upgrade(&mut connection).await?;
        let end = End::read(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY)
            .connect_lazy_with(options.read_only(true));
        let writer = Mutex::new(Writer { connection, end: Some(end) });
        Ok(Self { writer, readers, _claim: Some(claim) })
    }

    /// Opens a file that is there to look at what is in it, while a broker may be using it. Nothing is changed and no
    /// file is left beside it. None if it has to be brought up to the schema of this program first.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], but for a file that is in use.
    pub(crate) async fn inspect(path: &Path) -> Result<Option<Self>, StoreError> {
        file::check(path)?;
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).read_only(true);
        // Without a log beside it nobody is writing; a file that does not change needs no lock and no shared memory.
        let options = options.immutable(!file::has_log(path)).disable_statement_logging();
        let mut connection = options.clone().connect().await?;
        if !schema::is_current(&mut connection).await? {
            return Ok(None);
        }
        let end = End::read(&mut connection).await?;
        let readers = SqlitePoolOptions::new().connect_lazy_with(options);
        let writer = Mutex::new(Writer { connection, end: Some(end) });
        Ok(Some(Self { writer, readers, _claim: None }))
    }

    async fn commit_batch(&self, batch: Vec<Entry>) -> Result<Vec<Verdict>, StoreError> {
        let mut writer = self.writer.lock().await;
        let Writer { connection, end } = &mut *writer;
        // Taken, so that after any failure it is read from what is really there.
        let before = match end.take() {
            Some(known) => known,
            None => End::read(connection).await?,
        };
        let (verdicts, after) = batch::commit(connection, before, batch).await?;
        *end = Some(after);
        Ok(verdicts)
    }

    async fn read_decision(&self, id: &DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
        let text: Option<String> = sqlx::query_scalar("SELECT record FROM decisions WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await?;
        let row = StoreError::Row { table: "decisions" };
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| row)
    }

    async fn read_recent(&self, limit: u32) -> Result<Vec<DecisionRecord>, StoreError> {
        // Ids sort by time.
        let texts: Vec<String> = sqlx::query_scalar("SELECT record FROM decisions ORDER BY id DESC LIMIT ?")
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        let row = |_| StoreError::Row { table: "decisions" };
        texts.iter().map(|text| serde_json::from_str(text).map_err(row)).collect()
    }

    async fn read_last_revocation(&self) -> Result<u64, StoreError> {
        // Kept by SQLite also when all rows are gone.
        let last: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'revocations'")
                .fetch_optional(&self.readers)
                .await?;
        Ok(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))
    }

    async fn read_revocations(&self, sequence: u64) -> Result<Vec<Standing>, StoreError> {
        let rows = sqlx::query(
            "SELECT sequence, kind, value, revoked_before, until, blocks_until FROM revocations \
             WHERE sequence > ? ORDER BY sequence",
        )
        .bind(i64::try_from(sequence).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(revocations::read).collect()
    }

    /// Writes something that is of no interest, durably.
    async fn write_probe(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        let probe = "INSERT INTO marks (name, value) VALUES ('probe', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1";
        sqlx::query(probe).execute(&mut writer.connection).await?;
        Ok(())
    }

    async fn forget(&self, now: Timestamp, decisions_before: Timestamp) -> Result<u64, StoreError> {
        // Ids sort by time: the smallest id of that second divides old from new.
        let first_kept = DecisionId::new(Origin::Broker, decisions_before, [0; 10]);
        batch::note_forgotten(&mut self.writer.lock().await.connection, now).await?;
        let mut forgotten = 0_u64;
        // Small portions, so that no answer waits long for the writer.
        loop {
            let mut writer = self.writer.lock().await;
            let mut rows = 0_u64;
            for table in [
                "DELETE FROM used WHERE digest IN (SELECT digest FROM used WHERE expires_at < ? LIMIT 500)",
                "DELETE FROM evidence_keys WHERE digest IN (SELECT digest FROM evidence_keys WHERE expires_at < ? LIMIT 500)",
                "DELETE FROM revoked_keys WHERE key_id IN (SELECT key_id FROM revoked_keys WHERE until < ? LIMIT 500)",
            ] {
                let done =
                    sqlx::query(table).bind(batch::seconds(now)).execute(&mut writer.connection).await?;
                rows = rows.saturating_add(done.rows_affected());
            }
            rows = rows.saturating_add(revocations::forget(&mut writer.connection, now).await?);
            rows = rows.saturating_add(pins::forget(&mut writer.connection, now).await?);
            rows = rows.saturating_add(pod_grants::forget(&mut writer.connection, now).await?);
            let old = "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions WHERE id < ? LIMIT 500)";
            let done = sqlx::query(old).bind(first_kept.as_str()).execute(&mut writer.connection).await?;
            rows = rows.saturating_add(done.rows_affected());
            forgotten = forgotten.saturating_add(rows);
            if rows == 0 {
                return Ok(forgotten);
            }
        }
    }
}

impl Store for SqliteStore {
    fn commit(&self, batch: Vec<Entry>) -> StoreFuture<'_, Vec<Verdict>> {
        Box::pin(self.commit_batch(batch))
    }

    fn decision<'a>(&'a self, id: &'a DecisionId) -> StoreFuture<'a, Option<DecisionRecord>> {
        Box::pin(self.read_decision(id))
    }

    fn recent_decisions(&self, limit: u32) -> StoreFuture<'_, Vec<DecisionRecord>> {
        Box::pin(self.read_recent(limit))
    }

    fn keys(&self) -> StoreFuture<'_, Vec<StoredKey>> {
        Box::pin(keys::read(&self.readers))
    }

    fn revoked_kids(&self, now: Timestamp) -> StoreFuture<'_, Vec<RevokedKey>> {
        Box::pin(keys::read_revoked(&self.readers, now))
    }

    fn last_revocation(&self) -> StoreFuture<'_, u64> {
        Box::pin(self.read_last_revocation())
    }

    fn revocations_after(&self, sequence: u64) -> StoreFuture<'_, Vec<Standing>> {
        Box::pin(self.read_revocations(sequence))
    }

    fn pin<'a>(&'a self, pod: &'a PodName) -> StoreFuture<'a, Option<Pin>> {
        Box::pin(pins::read(&self.readers, pod))
    }

    fn pinned<'a>(&'a self, provider: &'a ProviderName, now: Timestamp) -> StoreFuture<'a, Vec<String>> {
        Box::pin(pins::of_provider(&self.readers, provider, now))
    }

    fn pods_with_tokens<'a>(
        &'a self,
        provider: &'a ProviderName,
        now: Timestamp,
    ) -> StoreFuture<'a, Vec<String>> {
        Box::pin(pod_grants::holders(&self.readers, provider, now))
    }

    fn granted<'a>(
        &'a self,
        pod: &'a PodName,
        now: Timestamp,
        page: u32,
    ) -> StoreFuture<'a, Vec<DecisionRecord>> {
        Box::pin(pod_grants::read(&self.readers, pod, now, page))
    }

    fn probe(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.write_probe())
    }

    fn prune(&self, now: Timestamp, decisions_before: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(self.forget(now, decisions_before))
    }
}

#[cfg(test)]
mod tests;
