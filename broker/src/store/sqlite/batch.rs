//! One commit: many entries, each of which uses up all that it names or nothing, all in one transaction.
//! Not here: retries. A failed commit leaves nothing, and each caller of it is told of an outage.

use std::time::Duration;

use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use symbolon_audit::Chain;
use symbolon_identity::Timestamp;

use super::keys::{self, Noted};
use super::rows::Rows;
use super::uses::Uses;
use crate::pins::{Pin, PodGrant, Repin};
use crate::record::DecisionRecord;
use crate::store::{Conflict, Entry, Keep, StoreError, Use, Verdict};

/// What was used is remembered a little longer than it could be presented, for clocks that are set back.
pub(super) const MARGIN: Duration = Duration::from_mins(5);

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
    let mut uses = Uses::look_up(&mut transaction, batch.iter().flat_map(Entry::uses)).await?;
    let mut batch = batch.into_iter();
    while let Some(entry) = batch.next() {
        let is_gone = entry.signed_by().is_some_and(|(key, _)| gone.contains(&key));
        if entry.changes_pods() {
            // What comes after it is looked up with what it changed, and what came before is there when it does.
            std::mem::take(&mut uses).write(&mut transaction).await?;
            verdicts.push(change_pods(&mut transaction, &mut rows, entry).await?);
            uses = Uses::look_up(&mut transaction, batch.as_slice().iter().flat_map(Entry::uses)).await?;
        } else {
            verdicts.push(put(&mut transaction, (&mut rows, &mut uses), entry, is_gone).await?);
        }
    }
    uses.write(&mut transaction).await?;
    let chain = rows.write(&mut transaction).await?;
    transaction.commit().await?;
    // SECURITY: a key that was revoked just now must not pass for one that was there before.
    let noted = if changes_keys { Noted::default() } else { noted };
    Ok((verdicts, End { chain, noted }))
}

/// Puts one entry on record.
async fn put(
    transaction: &mut Transaction<'_, Sqlite>,
    (rows, uses): (&mut Rows, &mut Uses),
    entry: Entry,
    is_gone: bool,
) -> Result<Verdict, StoreError> {
    match entry {
        Entry::Decision { uses: own, record } => {
            put_decision((rows, uses), own, (*record, Keep::ALL), is_gone)
        }
        Entry::Repeated { uses: own, record, keep } => {
            put_decision((rows, uses), own, (*record, keep), is_gone)
        }
        Entry::Keys(turn) => {
            keys::turn(transaction, &turn).await?;
            for record in turn.records() {
                rows.add_line(&record)?;
            }
            Ok(Verdict::Recorded)
        }
        Entry::Event(event) => rows.add_line(&event).map(|()| Verdict::Recorded),
        Entry::Uses(own) => Ok(verdict(uses.take_all(own))),
        Entry::Revocation { uses: own, revocations, record } => {
            let conflict = uses.take_all(own);
            if conflict.is_none() {
                for new in revocations {
                    super::revocations::put(transaction, new).await?;
                }
                rows.add_line(&record)?;
            }
            Ok(verdict(conflict))
        }
        Entry::Events(events) => {
            events.iter().try_for_each(|event| rows.add_line(event)).map(|()| Verdict::Recorded)
        }
        Entry::Repin { .. } | Entry::PodRevoked { .. } => change_pods(transaction, rows, entry).await,
    }
}

/// Puts an entry on record that changes what pods have.
async fn change_pods(
    transaction: &mut Transaction<'_, Sqlite>,
    rows: &mut Rows,
    entry: Entry,
) -> Result<Verdict, StoreError> {
    match entry {
        Entry::Repin { repin, record } => {
            let is_changed = repinned(transaction, &repin).await?;
            if is_changed {
                rows.add_line(&record)?;
            }
            Ok(verdict((!is_changed).then_some(Conflict::EvidenceKeyMismatch)))
        }
        Entry::PodRevoked { pod, because, now } => {
            // SECURITY: what the key has is read here: a token may have been put on record since the caller looked.
            let pin = super::pins::read(&mut **transaction, &pod).await?;
            if let Some(revocation) = pin.and_then(|pin| pin.outstanding(now)) {
                rows.add_line(&because.record(&pod, &revocation.revocation, now))?;
                super::pins::end(transaction, &pod).await?;
                super::pod_grants::end(transaction, &pod).await?;
                super::revocations::put_beside(transaction, revocation).await?;
            }
            Ok(Verdict::Recorded)
        }
        _ => Ok(Verdict::Recorded),
    }
}

/// Gives a pod another key, and takes back what its old one has; false if it has not the one that was expected, or may not
/// change it any more.
async fn repinned(transaction: &mut Transaction<'_, Sqlite>, repin: &Repin) -> Result<bool, StoreError> {
    // SECURITY: read here, since the owner of the old key may have proved it since the caller looked.
    let pin = super::pins::read(&mut **transaction, &repin.pod).await?;
    let may_change = |pin: &Pin| pin.key == repin.before && pin.may_change(repin.started, repin.now);
    let Some(pin) = pin.filter(may_change) else { return Ok(false) };
    let is_changed = super::pins::change(transaction, repin).await?;
    if is_changed {
        super::pod_grants::end(transaction, &repin.pod).await?;
        if let Some(revocation) = pin.outstanding(repin.now) {
            super::revocations::put_beside(transaction, revocation).await?;
        }
    }
    Ok(is_changed)
}

fn verdict(conflict: Option<Conflict>) -> Verdict {
    conflict.map_or(Verdict::Recorded, Verdict::Conflict)
}

fn put_decision(
    (rows, uses): (&mut Rows, &mut Uses),
    own: Vec<Use>,
    (mut record, keep): (DecisionRecord, Keep),
    is_gone: bool,
) -> Result<Verdict, StoreError> {
    let conflict =
        if is_gone { Some(Conflict::SigningKeyGone) } else { uses.take_all(with_grant(own, &record)) };
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
