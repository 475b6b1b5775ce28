//! One commit: many entries, each in a savepoint of its own, all in one transaction.
//! Not here: retries. A failed commit leaves nothing, and each caller of it is told of an outage.

use std::time::Duration;

use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use symbolon_audit::{Chain, Record};
use symbolon_identity::Timestamp;

use crate::record::DecisionRecord;
use crate::store::{Conflict, Entry, StoreError, Use, Verdict};

/// What was used is remembered a little longer than it could be presented, for clocks that are set back.
const MARGIN: Duration = Duration::from_mins(5);

/// The end of the audit chain in the file.
pub(super) async fn end_of_chain(connection: &mut SqliteConnection) -> Result<Chain, StoreError> {
    let last: Option<String> = sqlx::query_scalar("SELECT line FROM audit ORDER BY seq DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    Ok(last.map_or(Ok(Chain::start()), |line| Chain::resume(&line))?)
}

/// Puts a batch on record; the verdicts come in its order, with the new end of the chain.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    mut chain: Chain,
    batch: Vec<Entry>,
) -> Result<(Vec<Verdict>, Chain), StoreError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut verdicts = Vec::with_capacity(batch.len());
    for entry in batch {
        verdicts.push(match entry {
            Entry::Decision { uses, record } => {
                put_decision(&mut transaction, &mut chain, uses, *record).await?
            }
            Entry::Event(event) => {
                put_line(&mut transaction, &mut chain, &event).await?;
                Verdict::Recorded
            }
            Entry::Uses(uses) => verdict(take_all(&mut transaction, uses).await?),
            Entry::Revocation { uses, revocations, record } => {
                let conflict = take_all(&mut transaction, uses).await?;
                if conflict.is_none() {
                    for new in revocations {
                        super::revocations::put(&mut transaction, new).await?;
                    }
                    put_line(&mut transaction, &mut chain, &record).await?;
                }
                verdict(conflict)
            }
        });
    }
    transaction.commit().await?;
    Ok((verdicts, chain))
}

fn verdict(conflict: Option<Conflict>) -> Verdict {
    conflict.map_or(Verdict::Recorded, Verdict::Conflict)
}

async fn put_decision(
    transaction: &mut Transaction<'_, Sqlite>,
    chain: &mut Chain,
    uses: Vec<Use>,
    mut record: DecisionRecord,
) -> Result<Verdict, StoreError> {
    let verdict = match take_all(transaction, uses).await? {
        None => Verdict::Recorded,
        Some(conflict) => {
            record.refuse(conflict.reason());
            Verdict::Conflict(conflict)
        }
    };
    let text = serde_json::to_string(&record).map_err(|_| StoreError::Row { table: "decisions" })?;
    sqlx::query("INSERT INTO decisions (id, record) VALUES (?, ?)")
        .bind(record.id.as_str())
        .bind(text)
        .execute(&mut **transaction)
        .await?;
    put_line(transaction, chain, &record.audit_record()).await?;
    Ok(verdict)
}

async fn put_line(
    transaction: &mut Transaction<'_, Sqlite>,
    chain: &mut Chain,
    record: &Record,
) -> Result<(), StoreError> {
    let line = chain.next(record)?;
    sqlx::query("INSERT INTO audit (seq, line) VALUES (?, ?)")
        .bind(i64::try_from(line.sequence).unwrap_or(i64::MAX))
        .bind(line.text)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Uses all of it up, or nothing and says why.
async fn take_all(
    transaction: &mut Transaction<'_, Sqlite>,
    uses: Vec<Use>,
) -> Result<Option<Conflict>, StoreError> {
    if uses.is_empty() {
        return Ok(None);
    }
    let mut savepoint = transaction.begin().await?;
    for each in uses {
        if let Some(conflict) = take(&mut savepoint, each).await? {
            savepoint.rollback().await?;
            return Ok(Some(conflict));
        }
    }
    savepoint.commit().await?;
    Ok(None)
}

/// Uses something up; says why that cannot be.
async fn take(connection: &mut SqliteConnection, what: Use) -> Result<Option<Conflict>, StoreError> {
    let (taken, conflict) = match what {
        Use::Evidence { digest, expires_at } => {
            (first_use(connection, digest, expires_at).await?, Conflict::EvidenceReplayed)
        }
        Use::Proof { digest, expires_at } => {
            (first_use(connection, digest, expires_at).await?, Conflict::ProofReplayed)
        }
        Use::Binding { digest, key: Some(key), expires_at } => {
            let key = key.to_string();
            (bind(connection, digest, &key, expires_at).await?, Conflict::EvidenceKeyMismatch)
        }
        Use::Binding { digest, key: None, .. } => {
            (is_unbound(connection, digest).await?, Conflict::EvidenceKeyMismatch)
        }
    };
    Ok((!taken).then_some(conflict))
}

async fn first_use(
    connection: &mut SqliteConnection,
    digest: [u8; 32],
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query("INSERT INTO used (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(digest.as_slice())
        .bind(seconds(expires_at.saturating_add(MARGIN)))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

async fn bind(
    connection: &mut SqliteConnection,
    digest: [u8; 32],
    key: &str,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    // The update changes nothing; it counts a row only if the key is the one that was bound first.
    let done = sqlx::query(
        "INSERT INTO evidence_keys (digest, thumbprint, expires_at) VALUES (?, ?, ?)
         ON CONFLICT (digest) DO UPDATE SET thumbprint = thumbprint WHERE thumbprint = excluded.thumbprint",
    )
    .bind(digest.as_slice())
    .bind(key)
    .bind(seconds(expires_at.saturating_add(MARGIN)))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn is_unbound(connection: &mut SqliteConnection, digest: [u8; 32]) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM evidence_keys WHERE digest = ?")
        .bind(digest.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(found.is_none())
}

/// Seconds as SQLite keeps them.
pub(super) fn seconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
