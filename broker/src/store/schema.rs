//! The schema of the embedded store and how an older file is brought up to it.
//! Forward only: a file of a newer program is refused, never changed.

use sqlx::{Connection, SqliteConnection};

use super::StoreError;

/// One step each, in order; a file's `user_version` says how many were taken. Steps that were shipped never change.
const STEPS: [&str; 7] = [FIRST, REVOCATIONS, SIGNING_KEYS, MARKS, BLOCKS, PINS, POD_GRANTS];

pub(super) const FIRST: &str = "
CREATE TABLE signing_keys (
    key_id TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE used (
    digest BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_by_expiry ON used (expires_at);
CREATE TABLE evidence_keys (
    digest BLOB PRIMARY KEY,
    thumbprint TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_keys_by_expiry ON evidence_keys (expires_at);
CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    line TEXT NOT NULL
) STRICT;
PRAGMA user_version = 1;
";

const REVOCATIONS: &str = "
CREATE TABLE revocations (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    revoked_before INTEGER NOT NULL,
    until INTEGER NOT NULL,
    blocks_issuing INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_by_end ON revocations (until);
PRAGMA user_version = 2;
";

/// Before, the newest key signed and nobody noted for how long; no token may live for more than a day.
const SIGNING_KEYS: &str = "
ALTER TABLE signing_keys ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'ES256';
ALTER TABLE signing_keys ADD COLUMN published_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE signing_keys ADD COLUMN activated_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN retired_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN tokens_until INTEGER;
UPDATE signing_keys SET published_at = created_at, activated_at = created_at,
    tokens_until = unixepoch() + 86400;
UPDATE signing_keys SET retired_at = unixepoch()
    WHERE rowid <> (SELECT rowid FROM signing_keys ORDER BY created_at DESC, rowid DESC LIMIT 1);
CREATE UNIQUE INDEX one_key_signs ON signing_keys (algorithm)
    WHERE activated_at IS NOT NULL AND retired_at IS NULL;
CREATE TABLE revoked_keys (
    key_id TEXT PRIMARY KEY,
    revoked_at INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 3;
";

/// Numbers that have to outlive the program, such as the latest expiry that was forgotten.
const MARKS: &str = "
CREATE TABLE marks (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 4;
";

/// Before, a block lasted as long as the revocation, which has to outlive the tokens that it hits.
const BLOCKS: &str = "
ALTER TABLE revocations ADD COLUMN blocks_until INTEGER;
UPDATE revocations SET blocks_until = until WHERE blocks_issuing;
ALTER TABLE revocations DROP COLUMN blocks_issuing;
PRAGMA user_version = 5;
";

/// Which key each pod has.
const PINS: &str = "
CREATE TABLE pins (
    provider TEXT NOT NULL,
    pod TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    tokens_until INTEGER NOT NULL,
    changes INTEGER NOT NULL,
    PRIMARY KEY (provider, pod)
) STRICT, WITHOUT ROWID;
CREATE INDEX pins_by_age ON pins (seen_at);
PRAGMA user_version = 6;
";

/// What each pod was granted and still has, by the decision that granted it.
const POD_GRANTS: &str = "
CREATE TABLE pod_grants (
    provider TEXT NOT NULL,
    pod TEXT NOT NULL,
    asked BLOB NOT NULL,
    decision TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (provider, pod, asked)
) STRICT, WITHOUT ROWID;
CREATE INDEX pod_grants_by_end ON pod_grants (until);
CREATE INDEX revocations_by_name ON revocations (kind, value);
PRAGMA user_version = 7;
";

/// Whether a file has taken all steps.
pub(super) async fn is_current(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if found > known { Err(StoreError::TooNew { found, known }) } else { Ok(found == known) }
}

/// Takes the steps that a file lacks, each in a transaction of its own.
pub(super) async fn upgrade(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    let taken = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = STEPS.get(taken..) else {
        return Err(StoreError::TooNew { found, known });
    };
    for step in missing {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_block_of_before_lasts_as_long_as_its_revocation() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for step in [FIRST, REVOCATIONS, SIGNING_KEYS, MARKS] {
            sqlx::raw_sql(step).execute(&mut connection).await.unwrap();
        }
        let old = "INSERT INTO revocations (kind, value, revoked_before, until, blocks_issuing) VALUES ('workload', 'a', 1, 9, 1), ('jti', 'b', 1, 9, 0)";
        sqlx::raw_sql(old).execute(&mut connection).await.unwrap();
        upgrade(&mut connection).await.unwrap();
        assert!(is_current(&mut connection).await.unwrap());
        let blocks: Vec<Option<i64>> =
            sqlx::query_scalar("SELECT blocks_until FROM revocations ORDER BY sequence")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        assert_eq!(blocks, [Some(9), None]);
    }
}
