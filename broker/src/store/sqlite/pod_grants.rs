//! What pods were granted and still have, in SQLite.
//! Not here: asking about it again (`pins::changes`).

use serde_json::{Value, json};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};
use symbolon_identity::{ProviderName, Timestamp};

use super::batch::seconds;
use crate::pins::{PodGrant, PodName};
use crate::record::DecisionRecord;
use crate::store::StoreError;

/// So many of one pod are looked at together.
const PAGE: u32 = 256;

/// Notes grants; each takes the place of one that answered the same, and lasts as long as the longer one.
pub(super) async fn note(
    transaction: &mut Transaction<'_, Sqlite>,
    grants: &[(PodName, PodGrant)],
) -> Result<(), StoreError> {
    let rows = grants.iter().map(|(pod, grant)| {
        let asked: String =
            grant.asked.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        json!([pod.provider, pod.uid, asked, grant.decision, seconds(grant.until)])
    });
    sqlx::query(
        "INSERT INTO pod_grants (provider, pod, asked, decision, until)
         SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4 FROM json_each(?) WHERE true
         ON CONFLICT (provider, pod, asked) DO UPDATE SET
             decision = excluded.decision, until = max(until, excluded.until)",
    )
    .bind(rows.collect::<Value>().to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A page of the decisions behind what a pod still has.
pub(super) async fn read(
    readers: &SqlitePool,
    pod: &PodName,
    now: Timestamp,
    page: u32,
) -> Result<Vec<DecisionRecord>, StoreError> {
    let texts: Vec<String> = sqlx::query_scalar(
        "SELECT record FROM pod_grants JOIN decisions ON decisions.id = decision
         WHERE provider = ? AND pod = ? AND until > ? ORDER BY asked LIMIT ? OFFSET ?",
    )
    .bind(pod.provider.as_str())
    .bind(pod.uid.as_str())
    .bind(seconds(now))
    .bind(PAGE)
    .bind(u64::from(page).saturating_mul(u64::from(PAGE)).min(1 << 40).cast_signed())
    .fetch_all(readers)
    .await?;
    let row = |_| StoreError::Row { table: "decisions" };
    texts.iter().map(|text| serde_json::from_str(text).map_err(row)).collect()
}

/// The pods of a provider that have something.
pub(super) async fn holders(
    readers: &SqlitePool,
    provider: &ProviderName,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let pods = sqlx::query_scalar("SELECT DISTINCT pod FROM pod_grants WHERE provider = ? AND until > ?");
    Ok(pods.bind(provider.as_str()).bind(seconds(now)).fetch_all(readers).await?)
}

/// Forgets what a pod was granted: it is taken back.
pub(super) async fn end(transaction: &mut Transaction<'_, Sqlite>, pod: &PodName) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM pod_grants WHERE provider = ? AND pod = ?")
        .bind(pod.provider.as_str())
        .bind(pod.uid.as_str())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Forgets what has ended; returns how many.
pub(super) async fn forget(connection: &mut SqliteConnection, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM pod_grants WHERE (provider, pod, asked) IN
         (SELECT provider, pod, asked FROM pod_grants WHERE until < ? LIMIT 500)",
    )
    .bind(seconds(now))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
