//! Revocations as rows: their order is their place in the feed.
//! Not here: which of them count.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use symbolon_identity::Timestamp;
use symbolon_token::{Revocation, RevocationKind};

use super::batch::seconds;
use crate::revoke::{REMEMBERED, Standing};
use crate::store::{NewRevocation, StoreError};

const BROKEN: StoreError = StoreError::Row { table: "revocations" };

pub(super) fn read(row: &SqliteRow) -> Result<Standing, StoreError> {
    let kind: String = row.try_get("kind")?;
    let kind = RevocationKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(BROKEN)?;
    let time = |column: &str| row.try_get(column).map_err(StoreError::from).and_then(timestamp);
    let sequence: i64 = row.try_get("sequence")?;
    Ok(Standing {
        sequence: u64::try_from(sequence).map_err(|_| BROKEN)?,
        revocation: Revocation {
            kind,
            value: row.try_get("value")?,
            revoked_before: time("revoked_before")?,
            until: time("until")?,
        },
        blocks_until: row.try_get::<Option<i64>, _>("blocks_until")?.map(timestamp).transpose()?,
    })
}

fn timestamp(seconds: i64) -> Result<Timestamp, StoreError> {
    u64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_secs(seconds).ok()).ok_or(BROKEN)
}

pub(super) async fn put(connection: &mut SqliteConnection, new: NewRevocation) -> Result<(), StoreError> {
    let NewRevocation { revocation, blocks_until } = new;
    sqlx::query(
        "INSERT INTO revocations (kind, value, revoked_before, until, blocks_until) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(revocation.kind.as_str())
    .bind(revocation.value)
    .bind(seconds(revocation.revoked_before))
    .bind(seconds(revocation.until))
    .bind(blocks_until.map(seconds))
    .execute(connection)
    .await?;
    Ok(())
}

/// The same, but what stands of the same thing is not weakened: neither what it hits, nor for how long, nor a block.
pub(super) async fn put_beside(
    connection: &mut SqliteConnection,
    mut new: NewRevocation,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT sequence, kind, value, revoked_before, until, blocks_until FROM revocations
         WHERE kind = ? AND value = ? ORDER BY sequence DESC LIMIT 1",
    )
    .bind(new.revocation.kind.as_str())
    .bind(new.revocation.value.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(standing) = row.as_ref().map(read).transpose()? {
        let before = standing.revocation;
        new.revocation.revoked_before = new.revocation.revoked_before.max(before.revoked_before);
        new.revocation.until = new.revocation.until.max(before.until);
        new.blocks_until = new.blocks_until.max(standing.blocks_until);
    }
    put(connection, new).await
}

/// Forgets some of what is over for long enough; returns how many.
pub(super) async fn forget(connection: &mut SqliteConnection, now: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM revocations WHERE sequence IN (SELECT sequence FROM revocations WHERE until < ? LIMIT 500)",
    )
    .bind(seconds(now.saturating_sub(REMEMBERED)))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
