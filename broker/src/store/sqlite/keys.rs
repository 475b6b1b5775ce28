//! Signing keys in SQLite: read whole, changed by turns, and noted with each batch of tokens that they signed.
//! Not here: sealing them, or when they change.

use std::collections::{HashMap, HashSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqlitePool, Transaction};
use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, Thumbprint};
use symbolon_token::{Revocation, RevocationKind};

use super::batch::seconds;
use super::revocations;
use crate::keys::{KeyChange, KeyLife, KeyTurn, RevokedKey};
use crate::store::{Entry, NewRevocation, StoreError, StoredKey};

const UNREADABLE: StoreError = StoreError::Row { table: "signing_keys" };

/// All keys, oldest first.
pub(super) async fn read(readers: &SqlitePool) -> Result<Vec<StoredKey>, StoreError> {
    let rows = sqlx::query(
        "SELECT key_id, sealed, algorithm, published_at, activated_at, retired_at, tokens_until
         FROM signing_keys ORDER BY published_at, rowid",
    )
    .fetch_all(readers)
    .await?;
    rows.iter().map(key).collect()
}

fn key(row: &SqliteRow) -> Result<StoredKey, StoreError> {
    let algorithm: Algorithm = row.try_get::<String, _>("algorithm")?.parse().map_err(|_| UNREADABLE)?;
    let life = KeyLife {
        id: id(row)?,
        algorithm,
        published_at: time(row, "published_at")?.ok_or(UNREADABLE)?,
        activated_at: time(row, "activated_at")?,
        retired_at: time(row, "retired_at")?,
        tokens_until: time(row, "tokens_until")?,
    };
    Ok(StoredKey { life, sealed: row.try_get("sealed")? })
}

/// The keys that verifiers have to be told not to trust, oldest first.
pub(super) async fn read_revoked(
    readers: &SqlitePool,
    now: Timestamp,
) -> Result<Vec<RevokedKey>, StoreError> {
    let rows = sqlx::query(
        "SELECT key_id, revoked_at, until FROM revoked_keys WHERE until >= ? ORDER BY revoked_at, key_id",
    )
    .bind(seconds(now))
    .fetch_all(readers)
    .await?;
    let read = |row: &SqliteRow| {
        let revoked_at = time(row, "revoked_at")?.ok_or(UNREADABLE)?;
        Ok(RevokedKey { id: id(row)?, revoked_at, until: time(row, "until")?.ok_or(UNREADABLE)? })
    };
    rows.iter().map(read).collect()
}

fn id(row: &SqliteRow) -> Result<Thumbprint, StoreError> {
    row.try_get::<String, _>("key_id")?.parse().map_err(|_| UNREADABLE)
}

fn time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let seconds: Option<i64> = row.try_get(column)?;
    let time = |seconds| u64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_secs(seconds).ok());
    seconds.map(|seconds| time(seconds).ok_or(UNREADABLE)).transpose()
}

/// Makes the changes of a turn.
pub(super) async fn turn(
    transaction: &mut Transaction<'_, Sqlite>,
    turn: &KeyTurn,
) -> Result<(), StoreError> {
    for change in &turn.changes {
        make(transaction, change).await?;
    }
    Ok(())
}

/// Makes one change to one key that is as the change expects it.
async fn make(transaction: &mut Transaction<'_, Sqlite>, change: &KeyChange) -> Result<(), StoreError> {
    let id = change.key().to_string();
    let query = match change {
        KeyChange::Add { key, sealed } => sqlx::query(
            "INSERT INTO signing_keys (key_id, sealed, created_at, algorithm, published_at, activated_at)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(sealed.as_str())
        .bind(seconds(key.published_at))
        .bind(key.algorithm.as_str())
        .bind(seconds(key.published_at))
        .bind(key.activated_at.map(seconds)),
        KeyChange::Activate { at, .. } => sqlx::query(
            "UPDATE signing_keys SET activated_at = ?
             WHERE key_id = ? AND activated_at IS NULL AND retired_at IS NULL",
        )
        .bind(seconds(*at))
        .bind(id),
        KeyChange::Retire { at, .. } => {
            sqlx::query("UPDATE signing_keys SET retired_at = ? WHERE key_id = ? AND retired_at IS NULL")
                .bind(seconds(*at))
                .bind(id)
        }
        KeyChange::Remove(key) => sqlx::query(
            "DELETE FROM signing_keys
             WHERE key_id = ? AND retired_at IS NOT NULL AND coalesce(tokens_until, 0) <= ?",
        )
        .bind(id)
        .bind(key.tokens_until.map_or(0, seconds)),
        KeyChange::Revoke(revoked) => {
            sqlx::query("INSERT INTO revoked_keys (key_id, revoked_at, until) VALUES (?, ?, ?)")
                .bind(id.clone())
                .bind(seconds(revoked.revoked_at))
                .bind(seconds(revoked.until))
                .execute(&mut **transaction)
                .await?;
            revocations::put(&mut *transaction, in_the_feed(revoked)).await?;
            sqlx::query("DELETE FROM signing_keys WHERE key_id = ?").bind(id)
        }
    };
    match query.execute(&mut **transaction).await?.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::KeyChanged),
    }
}

/// What verifiers that follow the feed are told: not to believe the key, whatever time a token of it names.
///
/// It stands for longer than our own tokens live, because whoever has stolen the key writes any `exp`.
fn in_the_feed(revoked: &RevokedKey) -> NewRevocation {
    let (kind, value) = (RevocationKind::Kid, revoked.id.to_string());
    let revocation = Revocation { kind, value, revoked_before: Timestamp::MAX, until: revoked.until };
    NewRevocation { revocation, blocks_until: None }
}

/// Until when the keys in the file are needed, as far as this process has noted it there.
///
/// It saves most statements: times are whole seconds, and in one second a key signs many tokens. It is worth nothing
/// after a commit that failed or that changed the keys.
#[derive(Debug, Default)]
pub(super) struct Noted(HashMap<Thumbprint, Timestamp>);

impl Noted {
    /// Notes until when the tokens of a batch need their keys; returns the keys that are gone.
    pub(super) async fn note(
        &mut self,
        transaction: &mut Transaction<'_, Sqlite>,
        batch: &[Entry],
    ) -> Result<HashSet<Thumbprint>, StoreError> {
        let mut needed: HashMap<Thumbprint, Timestamp> = HashMap::new();
        for (key, expires_at) in batch.iter().filter_map(Entry::signed_by) {
            let until = needed.entry(key).or_insert(expires_at);
            *until = expires_at.max(*until);
        }
        needed.retain(|key, until| self.0.get(key).is_none_or(|noted| noted < until));
        let mut gone = HashSet::new();
        for (key, until) in needed {
            if need(transaction, key, until).await? {
                self.0.insert(key, until);
            } else {
                gone.insert(key);
            }
        }
        Ok(gone)
    }
}

/// Notes until when a key is needed; says whether there is such a key.
async fn need(
    transaction: &mut Transaction<'_, Sqlite>,
    key: Thumbprint,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE signing_keys SET tokens_until = max(coalesce(tokens_until, 0), ?) WHERE key_id = ?",
    )
    .bind(seconds(until))
    .bind(key.to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}
