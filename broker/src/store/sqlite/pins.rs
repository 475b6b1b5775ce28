//! Which key each pod has, in SQLite.
//! Not here: who may change it (`pins`).

use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool, Transaction};
use symbolon_identity::{ProviderName, Timestamp};
use symbolon_jws::Thumbprint;

use super::batch::seconds;
use crate::pins::{Pin, PodName, Repin, SILENT};
use crate::store::StoreError;

const UNREADABLE: StoreError = StoreError::Row { table: "pins" };

/// The key that a pod has.
pub(super) async fn read(readers: &SqlitePool, pod: &PodName) -> Result<Option<Pin>, StoreError> {
    let row = sqlx::query(
        "SELECT thumbprint, seen_at, tokens_until, changes FROM pins WHERE provider = ? AND pod = ?",
    )
    .bind(pod.provider.as_str())
    .bind(pod.uid.as_str())
    .fetch_optional(readers)
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

/// The pods of a provider that have a key.
pub(super) async fn of_provider(
    readers: &SqlitePool,
    provider: &ProviderName,
) -> Result<Vec<String>, StoreError> {
    let pods = sqlx::query_scalar("SELECT pod FROM pins WHERE provider = ?");
    Ok(pods.bind(provider.as_str()).fetch_all(readers).await?)
}

/// Binds a pod's first key, or notes that the one that it has was proved; false if it has another one.
pub(super) async fn hold(
    connection: &mut SqliteConnection,
    pod: &PodName,
    key: Thumbprint,
    (seen_at, tokens_until): (Timestamp, Option<Timestamp>),
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO pins (provider, pod, thumbprint, seen_at, tokens_until, changes)
         VALUES (?1, ?2, ?3, ?4, ?5, 0)
         ON CONFLICT (provider, pod) DO UPDATE SET
             seen_at = max(seen_at, excluded.seen_at),
             tokens_until = max(tokens_until, excluded.tokens_until)
         WHERE thumbprint = excluded.thumbprint",
    )
    .bind(pod.provider.as_str())
    .bind(pod.uid.as_str())
    .bind(key.to_string())
    .bind(seconds(seen_at))
    .bind(tokens_until.map_or(0, seconds))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
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
    .bind(seconds(repin.at))
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
