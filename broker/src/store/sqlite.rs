//! The embedded store: one SQLite file, for one broker.
//! Not here: the schema (`store::schema`), or who waits for a commit (`store::ledger`).

mod batch;
mod file;
mod revocations;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection, SqlitePool};
use symbolon_audit::Chain;
use symbolon_identity::{DecisionId, Origin, Timestamp};
use tokio::sync::Mutex;

use super::{Entry, SealedKey, Store, StoreError, StoreFuture, Verdict, schema};
use crate::record::DecisionRecord;
use crate::revoke::Standing;
use file::Claim;

const BUSY: Duration = Duration::from_secs(5);
const READERS: u32 = 2;

/// A store in one SQLite file: write-ahead log, flushed to disk with each commit.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    writer: Mutex<Writer>,
    readers: SqlitePool,
    _claim: Claim,
}

#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    /// Where the audit chain ends; none if that has to be read again.
    chain: Option<Chain>,
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
        let chain = batch::end_of_chain(&mut connection).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY)
            .connect_lazy_with(options.read_only(true));
        let writer = Mutex::new(Writer { connection, chain: Some(chain) });
        Ok(Self { writer, readers, _claim: claim })
    }

    async fn commit_batch(&self, batch: Vec<Entry>) -> Result<Vec<Verdict>, StoreError> {
        let mut writer = self.writer.lock().await;
        let Writer { connection, chain } = &mut *writer;
        // Taken, so that after any failure the end of the chain is read from what is really there.
        let before = match chain.take() {
            Some(known) => known,
            None => batch::end_of_chain(connection).await?,
        };
        let (verdicts, after) = batch::commit(connection, before, batch).await?;
        *chain = Some(after);
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

    async fn read_sealed_keys(&self) -> Result<Vec<SealedKey>, StoreError> {
        let mut writer = self.writer.lock().await;
        let rows =
            sqlx::query("SELECT key_id, sealed, created_at FROM signing_keys ORDER BY created_at, rowid")
                .fetch_all(&mut writer.connection)
                .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| -> Result<SealedKey, StoreError> {
            let seconds: i64 = row.try_get("created_at")?;
            let created_at =
                u64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_secs(seconds).ok());
            Ok(SealedKey {
                key_id: row.try_get("key_id")?,
                sealed: row.try_get("sealed")?,
                created_at: created_at.ok_or(StoreError::Row { table: "signing_keys" })?,
            })
        };
        rows.iter().map(read).collect()
    }

    async fn write_sealed_key(&self, key: SealedKey) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        sqlx::query("INSERT INTO signing_keys (key_id, sealed, created_at) VALUES (?, ?, ?)")
            .bind(key.key_id)
            .bind(key.sealed)
            .bind(batch::seconds(key.created_at))
            .execute(&mut writer.connection)
            .await?;
        Ok(())
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
            "SELECT sequence, kind, value, revoked_before, until, blocks_issuing FROM revocations \
             WHERE sequence > ? ORDER BY sequence",
        )
        .bind(i64::try_from(sequence).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(revocations::read).collect()
    }

    async fn forget(&self, now: Timestamp, decisions_before: Timestamp) -> Result<u64, StoreError> {
        // Ids sort by time: the smallest id of that second divides old from new.
        let first_kept = DecisionId::new(Origin::Broker, decisions_before, [0; 10]);
        let mut forgotten = 0_u64;
        // Small portions, so that no answer waits long for the writer.
        loop {
            let mut writer = self.writer.lock().await;
            let mut rows = 0_u64;
            for table in [
                "DELETE FROM used WHERE digest IN (SELECT digest FROM used WHERE expires_at < ? LIMIT 500)",
                "DELETE FROM evidence_keys WHERE digest IN (SELECT digest FROM evidence_keys WHERE expires_at < ? LIMIT 500)",
            ] {
                let done =
                    sqlx::query(table).bind(batch::seconds(now)).execute(&mut writer.connection).await?;
                rows = rows.saturating_add(done.rows_affected());
            }
            rows = rows.saturating_add(revocations::forget(&mut writer.connection, now).await?);
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

    fn sealed_keys(&self) -> StoreFuture<'_, Vec<SealedKey>> {
        Box::pin(self.read_sealed_keys())
    }

    fn add_sealed_key(&self, key: SealedKey) -> StoreFuture<'_, ()> {
        Box::pin(self.write_sealed_key(key))
    }

    fn last_revocation(&self) -> StoreFuture<'_, u64> {
        Box::pin(self.read_last_revocation())
    }

    fn revocations_after(&self, sequence: u64) -> StoreFuture<'_, Vec<Standing>> {
        Box::pin(self.read_revocations(sequence))
    }

    fn prune(&self, now: Timestamp, decisions_before: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(self.forget(now, decisions_before))
    }
}

#[cfg(test)]
mod tests;
