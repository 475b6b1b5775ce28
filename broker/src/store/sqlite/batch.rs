//! One commit: many entries, each of which uses up all that it names or nothing, all in one transaction.
//! Not here: retries. A failed commit leaves nothing, and each caller of it is told of an outage.

use std::time::Duration;

use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use symbolon_audit::Chain;
use symbolon_identity::Timestamp;

use super::keys::{self, Noted};
use super::rows::Rows;
use crate::pins::{PodGrant, Repin};
use crate::record::DecisionRecord;
use crate::store::{Conflict, Entry, Keep, NewRevocation, StoreError, Use, Verdict};

/// What was used is remembered a little longer than it could be presented, for clocks that are set back.
const MARGIN: Duration = Duration::from_mins(5);

/// What the next commit goes on from. After a failure it is read from what is really there.
#[derive(Debug)]
pub(super) struct End {
    /// Where the audit chain ends.
    chain: Chain,
    /// What the signing keys are needed for.
    noted: Noted,
}

impl End {
    /// As the file has it.
    pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let last: Option<String> = sqlx::query_scalar("SELECT line FROM audit ORDER BY seq DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
        let chain = last.map_or(Ok(Chain::start()), |line| Chain::resume(&line))?;
        Ok(Self { chain, noted: Noted::default() })
    }
}

/// Puts a batch on record; the verdicts come in its order, with the new end of the chain.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    end: End,
    batch: Vec<Entry>,
) -> Result<(Vec<Verdict>, End), StoreError> {
    let End { chain, mut noted } = end;
    let mut rows = Rows::after(chain);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut verdicts = Vec::with_capacity(batch.len());
    let changes_keys = batch.iter().any(|entry| matches!(entry, Entry::Keys(_)));
    let gone = noted.note(&mut transaction, &batch).await?;
    for entry in batch {
        let is_gone = entry.signed_by().is_some_and(|(key, _)| gone.contains(&key));
        verdicts.push(match entry {
            Entry::Decision { uses, record } => {
                let uses = if is_gone { Err(Conflict::SigningKeyGone) } else { Ok(uses) };
                put_decision(&mut transaction, &mut rows, uses, (*record, Keep::ALL)).await?
            }
            Entry::Repeated { uses, record, keep } => {
                let uses = if is_gone { Err(Conflict::SigningKeyGone) } else { Ok(uses) };
                put_decision(&mut transaction, &mut rows, uses, (*record, keep)).await?
            }
            Entry::Keys(turn) => {
                keys::turn(&mut transaction, &turn).await?;
                for record in turn.records() {
                    rows.add_line(&record)?;
                }
                Verdict::Recorded
            }
            Entry::Event(event) => rows.add_line(&event).map(|()| Verdict::Recorded)?,
            Entry::Uses(uses) => verdict(take_all(&mut transaction, uses).await?),
            Entry::Revocation { uses, revocations, record } => {
                let conflict = take_all(&mut transaction, uses).await?;
                if conflict.is_none() {
                    for new in revocations {
                        super::revocations::put(&mut transaction, new).await?;
                    }
                    rows.add_line(&record)?;
                }
                verdict(conflict)
            }
            Entry::Repin { repin, revocations, record } => {
                let is_changed = repinned(&mut transaction, &repin, revocations).await?;
                if is_changed {
                    rows.add_line(&record)?;
                }
                verdict((!is_changed).then_some(Conflict::EvidenceKeyMismatch))
            }
            Entry::PodRevoked { pod, revocation, record } => {
                super::pins::end(&mut transaction, &pod).await?;
                super::pod_grants::end(&mut transaction, &pod).await?;
                super::revocations::put(&mut transaction, revocation).await?;
                rows.add_line(&record).map(|()| Verdict::Recorded)?
            }
            Entry::Events(events) => {
                events.iter().try_for_each(|event| rows.add_line(event)).map(|()| Verdict::Recorded)?
            }
        });
    }
    let chain = rows.write(&mut transaction).await?;
    transaction.commit().await?;
    // SECURITY: a key that was revoked just now must not pass for one that was there before.
    let noted = if changes_keys { Noted::default() } else { noted };
    Ok((verdicts, End { chain, noted }))
}

/// Gives a pod another key, and takes back what its old one has; false if it has not the one that was expected.
async fn repinned(
    transaction: &mut Transaction<'_, Sqlite>,
    repin: &Repin,
    revocations: Vec<NewRevocation>,
) -> Result<bool, StoreError> {
    let is_changed = super::pins::change(transaction, repin).await?;
    if is_changed {
        super::pod_grants::end(transaction, &repin.pod).await?;
    }
    for new in revocations.into_iter().filter(|_| is_changed) {
        super::revocations::put(transaction, new).await?;
    }
    Ok(is_changed)
}

fn verdict(conflict: Option<Conflict>) -> Verdict {
    conflict.map_or(Verdict::Recorded, Verdict::Conflict)
}

async fn put_decision(
    transaction: &mut Transaction<'_, Sqlite>,
    rows: &mut Rows,
    uses: Result<Vec<Use>, Conflict>,
    (mut record, keep): (DecisionRecord, Keep),
) -> Result<Verdict, StoreError> {
    let conflict = match uses {
        Ok(uses) => take_all(transaction, with_grant(uses, &record)).await?,
        Err(conflict) => Some(conflict),
    };
    let (verdict, is_kept) = match conflict {
        None => (Verdict::Recorded, keep.as_meant),
        Some(conflict) => {
            record.refuse(conflict.reason(), conflict.stage());
            (Verdict::Conflict(conflict), keep.as_conflict)
        }
    };
    if is_kept {
        rows.add_decision(&record)?;
    }
    Ok(verdict)
}

/// The same, where a pod's key is held for as long as the token that it gets.
fn with_grant(mut uses: Vec<Use>, record: &DecisionRecord) -> Vec<Use> {
    for each in &mut uses {
        if let Use::Pin { grant, .. } = each {
            *grant = PodGrant::of(record);
        }
    }
    uses
}

/// Uses all of it up, or nothing and says why.
async fn take_all(
    transaction: &mut Transaction<'_, Sqlite>,
    mut uses: Vec<Use>,
) -> Result<Option<Conflict>, StoreError> {
    // One use is one statement, which takes all or nothing by itself.
    if uses.len() <= 1 {
        return match uses.pop() {
            Some(only) => take(transaction, only).await,
            None => Ok(None),
        };
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
        Use::Pin { pod, key, seen_at, grant } => {
            let tokens_until = grant.as_ref().map(|grant| grant.until);
            let held = super::pins::hold(connection, &pod, key, (seen_at, tokens_until)).await?;
            if let Some(grant) = grant.filter(|_| held) {
                super::pod_grants::note(connection, &pod, &grant).await?;
            }
            (held, Conflict::EvidenceKeyMismatch)
        }
        Use::Binding { digest, key: None, expires_at } => {
            (is_unbound(connection, digest, expires_at).await?, Conflict::EvidenceKeyMismatch)
        }
    };
    Ok((!taken).then_some(conflict))
}

async fn first_use(
    connection: &mut SqliteConnection,
    digest: [u8; 32],
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    // SECURITY: what ends before something that was forgotten may have been forgotten too (the clock was ahead when we
    // pruned), so it counts as used.
    let done = sqlx::query(
        "INSERT INTO used (digest, expires_at)
         SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM marks WHERE name = 'used' AND value >= ?2)
         ON CONFLICT DO NOTHING",
    )
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
        "INSERT INTO evidence_keys (digest, thumbprint, expires_at)
         SELECT ?1, ?2, ?3
         WHERE NOT EXISTS (SELECT 1 FROM marks WHERE name = 'evidence_keys' AND value >= ?3)
         ON CONFLICT (digest) DO UPDATE SET thumbprint = thumbprint WHERE thumbprint = excluded.thumbprint",
    )
    .bind(digest.as_slice())
    .bind(key)
    .bind(seconds(expires_at.saturating_add(MARGIN)))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn is_unbound(
    connection: &mut SqliteConnection,
    digest: [u8; 32],
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM evidence_keys WHERE digest = ?1
         UNION ALL SELECT 1 FROM marks WHERE name = 'evidence_keys' AND value >= ?2",
    )
    .bind(digest.as_slice())
    .bind(seconds(expires_at.saturating_add(MARGIN)))
    .fetch_optional(connection)
    .await?;
    Ok(found.is_none())
}

/// Notes the latest expiry among what will be forgotten at `now`, before anything is.
pub(super) async fn note_forgotten(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<(), StoreError> {
    for note in [
        "INSERT INTO marks (name, value)
         SELECT 'used', latest FROM (SELECT max(expires_at) AS latest FROM used WHERE expires_at < ?)
         WHERE latest IS NOT NULL
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        "INSERT INTO marks (name, value)
         SELECT 'evidence_keys', latest FROM (SELECT max(expires_at) AS latest FROM evidence_keys WHERE expires_at < ?)
         WHERE latest IS NOT NULL
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
    ] {
        sqlx::query(note).bind(seconds(now)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Seconds as SQLite keeps them.
pub(super) fn seconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
