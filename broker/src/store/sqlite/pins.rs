//! Which key each pod has, in SQLite.
//! Not here: who may change it (`pins`).

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool, Transaction};
use symbolon_identity::{ProviderName, Timestamp};

use super::batch::seconds;
use crate::pins::{Pin, PodName, Repin, SILENT};
use crate::store::StoreError;

const UNREADABLE: StoreError = StoreError::Row { table: "pins" };

/// The key that a pod has.
pub(super) async fn read<'e>(
    from: impl sqlx::Executor<'e, Database = Sqlite>,
    pod: &PodName,
) -> Result<Option<Pin>, StoreError> {
    let row = sqlx::query(
        "SELECT thumbprint, seen_at, tokens_until, changes FROM pins WHERE provider = ? AND pod = ?",
    )
    .bind(pod.provider.as_str())
    .bind(pod.uid.as_str())
    .fetch_optional(from)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let time = |column: &str| {
        let seconds = u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| UNREADABLE)?;
        Timestamp::from_secs(seconds).map_err(|_| UNREADABLE)
    };
    Ok(Some(Pin {
        key: row.try_get::<String, _>("thumbprint")?.parse().map_err(|_| UNREADABLE)?,
        seen_at: time("seen_at")?,
        tokens_until: time("tokens_until")?,
        changes: u32::try_from(row.try_get::<i64, _>("changes")?).map_err(|_| UNREADABLE)?,
    }))
}

/// The pods of a provider whose key has tokens that are still good.
pub(super) async fn of_provider(
    readers: &SqlitePool,
    provider: &ProviderName,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let pods = sqlx::query_scalar("SELECT pod FROM pins WHERE provider = ? AND tokens_until > ?");
    Ok(pods.bind(provider.as_str()).bind(seconds(now)).fetch_all(readers).await?)
}

/// A key that a pod has and proved.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) key: String,
    pub(super) seen_at: i64,
    pub(super) tokens_until: i64,
}

/// The keys that these pods have, as far as they have one.
pub(super) async fn keys(
    transaction: &mut Transaction<'_, Sqlite>,
    pods: &HashSet<PodName>,
) -> Result<HashMap<PodName, String>, StoreError> {
    let names: Value = pods.iter().map(|pod| json!([pod.provider, pod.uid])).collect();
    let rows = sqlx::query(
        "SELECT provider, pod, thumbprint FROM pins
         WHERE (provider, pod) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
    )
    .bind(names.to_string())
    .fetch_all(&mut **transaction)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let provider: String = row.try_get("provider")?;
        let provider = ProviderName::parse(&provider).map_err(|_| UNREADABLE)?;
        Ok((PodName { provider, uid: row.try_get("pod")? }, row.try_get("thumbprint")?))
    };
    rows.iter().map(read).collect()
}

/// Binds the first keys of pods, and notes that those that they have were proved.
pub(super) async fn hold(
    transaction: &mut Transaction<'_, Sqlite>,
    holds: &HashMap<PodName, Hold>,
) -> Result<(), StoreError> {
    let rows = holds
        .iter()
        .map(|(pod, hold)| json!([pod.provider, pod.uid, hold.key, hold.seen_at, hold.tokens_until]));
    // SECURITY: the condition never fails, as nobody else writes meanwhile; if it did, a key must not be replaced.
    sqlx::query(
        "INSERT INTO pins (provider, pod, thumbprint, seen_at, tokens_until, changes)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, 0 FROM json_each(?) WHERE true
         ON CONFLICT (provider, pod) DO UPDATE SET
             seen_at = max(seen_at, excluded.seen_at),
             tokens_until = max(tokens_until, excluded.tokens_until)
         WHERE thumbprint = excluded.thumbprint",
    )
    .bind(rows.collect::<Value>().to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Gives a pod another key; false if it has not the one that was expected.
pub(super) async fn change(
    transaction: &mut Transaction<'_, Sqlite>,
    repin: &Repin,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE pins SET thumbprint = ?1, seen_at = ?2, tokens_until = 0, changes = changes + 1
         WHERE provider = ?3 AND pod = ?4 AND thumbprint = ?5",
    )
    .bind(repin.after.to_string())
    .bind(seconds(repin.seen_at()))
    .bind(repin.pod.provider.as_str())
    .bind(repin.pod.uid.as_str())
    .bind(repin.before.to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that what a pod's key got is taken back; what it gets after that is noted anew.
pub(super) async fn end(transaction: &mut Transaction<'_, Sqlite>, pod: &PodName) -> Result<(), StoreError> {
    sqlx::query("UPDATE pins SET tokens_until = 0 WHERE provider = ? AND pod = ?")
        .bind(pod.provider.as_str())
        .bind(pod.uid.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Forgets pods that were silent for so long that their evidence has expired; returns how many.
pub(super) async fn forget(connection: &mut SqliteConnection, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM pins WHERE (provider, pod) IN
         (SELECT provider, pod FROM pins WHERE seen_at < ?1 AND tokens_until < ?2 LIMIT 500)",
    )
    .bind(seconds(now.saturating_sub(SILENT)))
    .bind(seconds(now))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
