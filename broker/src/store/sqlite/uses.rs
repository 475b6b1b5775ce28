//! What the entries of a commit use up, looked up and written together: each statement is a turn to the database's thread and
//! back. Not here: what becomes of an entry that uses something a second time (`batch`).

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use sqlx::{Row as _, Sqlite, Transaction};

use super::batch::{MARGIN, seconds};
use super::pins::Hold;
use crate::pins::{PodGrant, PodName};
use crate::store::{Conflict, StoreError, Use};

type Digest = [u8; 32];

/// What is known of everything that some entries use, and what becomes of it.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// One-shot evidence and proofs that nobody used before: they are on record, and taken by the first who asks.
    fresh: HashSet<Digest>,
    taken: HashSet<Digest>,
    /// The keys that reusable evidence belongs to.
    keys: HashMap<Digest, String>,
    new_keys: Vec<(Digest, i64)>,
    /// What ends before this may have been forgotten, so that it counts as used (`marks`).
    forgotten: Option<i64>,
    /// The keys that pods have.
    pods: HashMap<PodName, String>,
    holds: HashMap<PodName, Hold>,
    grants: Vec<(PodName, PodGrant)>,
}

impl Uses {
    /// Looks up what these use.
    pub(super) async fn look_up(
        transaction: &mut Transaction<'_, Sqlite>,
        uses: impl Iterator<Item = &Use>,
    ) -> Result<Self, StoreError> {
        let (mut once, mut keys, mut pods) = (HashMap::new(), HashSet::new(), HashSet::new());
        for each in uses {
            match each {
                Use::Evidence { digest, expires_at } | Use::Proof { digest, expires_at } => {
                    once.entry(*digest).or_insert_with(|| seconds(expires_at.saturating_add(MARGIN)));
                }
                Use::Binding { digest, .. } => drop(keys.insert(*digest)),
                Use::Pin { pod, .. } => drop(pods.insert(pod.clone())),
            }
        }
        let mut looked_up = Self::default();
        if !once.is_empty() {
            looked_up.fresh = claim(transaction, once).await?;
        }
        if !keys.is_empty() {
            looked_up.keys = bound(transaction, &keys).await?;
            if keys.iter().any(|digest| !looked_up.keys.contains_key(digest)) {
                looked_up.forgotten = forgotten(transaction).await?;
            }
        }
        if !pods.is_empty() {
            looked_up.pods = super::pins::keys(transaction, &pods).await?;
        }
        Ok(looked_up)
    }

    /// Uses all of it up, or nothing and says why.
    pub(super) fn take_all(&mut self, uses: Vec<Use>) -> Option<Conflict> {
        let mut own = HashSet::new();
        for each in &uses {
            let conflict = self.conflict(each);
            let twice = match each {
                Use::Evidence { digest, .. } | Use::Proof { digest, .. } => !own.insert(*digest),
                Use::Binding { .. } | Use::Pin { .. } => false,
            };
            match (conflict, each) {
                (Some(conflict), _) => return Some(conflict),
                (None, Use::Evidence { .. }) if twice => return Some(Conflict::EvidenceReplayed),
                (None, Use::Proof { .. }) if twice => return Some(Conflict::ProofReplayed),
                (None, _) => {}
            }
        }
        for each in uses {
            self.take(each);
        }
        None
    }

    fn conflict(&self, what: &Use) -> Option<Conflict> {
        let is_free = |digest: &Digest| self.fresh.contains(digest) && !self.taken.contains(digest);
        let mismatch = Conflict::EvidenceKeyMismatch;
        match what {
            Use::Evidence { digest, .. } => (!is_free(digest)).then_some(Conflict::EvidenceReplayed),
            Use::Proof { digest, .. } => (!is_free(digest)).then_some(Conflict::ProofReplayed),
            Use::Binding { digest, key, expires_at } => {
                let is_same = match (self.keys.get(digest), key) {
                    (Some(bound), Some(key)) => *bound == key.to_string(),
                    (Some(_), None) => false,
                    (None, _) => {
                        let ends = seconds(expires_at.saturating_add(MARGIN));
                        self.forgotten.is_none_or(|forgotten| forgotten < ends)
                    }
                };
                (!is_same).then_some(mismatch)
            }
            Use::Pin { pod, key, .. } => {
                let is_same = self.pods.get(pod).is_none_or(|pinned| *pinned == key.to_string());
                (!is_same).then_some(mismatch)
            }
        }
    }

    /// SECURITY: only after [`Uses::conflict`] had nothing against it.
    fn take(&mut self, what: Use) {
        match what {
            Use::Evidence { digest, .. } | Use::Proof { digest, .. } => {
                self.taken.insert(digest);
            }
            Use::Binding { digest, key, expires_at } => {
                if let (Some(key), false) = (key, self.keys.contains_key(&digest)) {
                    self.keys.insert(digest, key.to_string());
                    self.new_keys.push((digest, seconds(expires_at.saturating_add(MARGIN))));
                }
            }
            Use::Pin { pod, key, seen_at, grant } => {
                let key = key.to_string();
                self.pods.entry(pod.clone()).or_insert_with(|| key.clone());
                let until = grant.as_ref().map_or(0, |grant| seconds(grant.until));
                let hold = self.holds.entry(pod.clone()).or_insert(Hold { key, seen_at: 0, tokens_until: 0 });
                hold.seen_at = hold.seen_at.max(seconds(seen_at));
                hold.tokens_until = hold.tokens_until.max(until);
                self.grants.extend(grant.map(|grant| (pod, grant)));
            }
        }
    }

    /// Writes what was taken, and gives back what was looked up and is nobody's.
    pub(super) async fn write(self, transaction: &mut Transaction<'_, Sqlite>) -> Result<(), StoreError> {
        let left: Vec<String> = self.fresh.difference(&self.taken).map(hex).collect();
        if !left.is_empty() {
            let delete = "DELETE FROM used WHERE digest IN (SELECT unhex(value) FROM json_each(?))";
            sqlx::query(delete).bind(json!(left).to_string()).execute(&mut **transaction).await?;
        }
        if !self.new_keys.is_empty() {
            let key = |digest| self.keys.get(digest).map(String::as_str).unwrap_or_default();
            let rows = self.new_keys.iter().map(|(digest, ends)| json!([hex(digest), key(digest), ends]));
            sqlx::query(
                "INSERT INTO evidence_keys (digest, thumbprint, expires_at)
                 SELECT unhex(value ->> 0), value ->> 1, value ->> 2 FROM json_each(?)",
            )
            .bind(rows.collect::<Value>().to_string())
            .execute(&mut **transaction)
            .await?;
        }
        if !self.holds.is_empty() {
            super::pins::hold(transaction, &self.holds).await?;
        }
        if !self.grants.is_empty() {
            super::pod_grants::note(transaction, &self.grants).await?;
        }
        Ok(())
    }
}

/// Puts digests on record that nobody used before, and returns those.
async fn claim(
    transaction: &mut Transaction<'_, Sqlite>,
    once: HashMap<Digest, i64>,
) -> Result<HashSet<Digest>, StoreError> {
    let rows = once.iter().map(|(digest, ends)| json!([hex(digest), ends]));
    // SECURITY: what ends before something that was forgotten may have been forgotten too (the clock was ahead when we
    // pruned), so it counts as used.
    let claimed = sqlx::query(
        "INSERT INTO used (digest, expires_at)
         SELECT unhex(value ->> 0), value ->> 1 FROM json_each(?)
         WHERE NOT EXISTS (SELECT 1 FROM marks WHERE name = 'used' AND marks.value >= json_each.value ->> 1)
         ON CONFLICT DO NOTHING RETURNING digest",
    )
    .bind(rows.collect::<Value>().to_string())
    .fetch_all(&mut **transaction)
    .await?;
    claimed.iter().map(|row| digest(row.try_get("digest")?)).collect()
}

/// The keys that evidence belongs to, as far as it does.
async fn bound(
    transaction: &mut Transaction<'_, Sqlite>,
    digests: &HashSet<Digest>,
) -> Result<HashMap<Digest, String>, StoreError> {
    let digests: Value = digests.iter().map(hex).collect();
    let rows = sqlx::query(
        "SELECT digest, thumbprint FROM evidence_keys WHERE digest IN (SELECT unhex(value) FROM json_each(?))",
    )
    .bind(digests.to_string())
    .fetch_all(&mut **transaction)
    .await?;
    rows.iter().map(|row| Ok((digest(row.try_get("digest")?)?, row.try_get("thumbprint")?))).collect()
}

async fn forgotten(transaction: &mut Transaction<'_, Sqlite>) -> Result<Option<i64>, StoreError> {
    let mark = "SELECT value FROM marks WHERE name = 'evidence_keys'";
    Ok(sqlx::query_scalar(mark).fetch_optional(&mut **transaction).await?)
}

fn digest(bytes: Vec<u8>) -> Result<Digest, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Row { table: "used" })
}

fn hex(digest: &Digest) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in digest {
        for half in [byte >> 4, byte & 0xF] {
            text.push(char::from(DIGITS.get(usize::from(half)).copied().unwrap_or_default()));
        }
    }
    text
}
