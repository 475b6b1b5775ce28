//! Rows that a commit only adds: kept until its end and written together, since each statement is a turn to the
//! database's thread and back.
//! Not here: what is looked at on the way, such as marks of use; those are written one by one.

use sqlx::{QueryBuilder, Sqlite, Transaction};
use symbolon_audit::{Chain, Record};

use crate::record::DecisionRecord;
use crate::store::StoreError;

/// So many rows in one statement: there are then so many texts for each table, few enough to stay prepared.
const TOGETHER: usize = 16;

/// The decisions and lines of one commit.
#[derive(Debug)]
pub(super) struct Rows {
    chain: Chain,
    decisions: Vec<(String, String)>,
    lines: Vec<(i64, String)>,
}

impl Rows {
    /// None yet; the lines go on from this end of the audit chain.
    pub(super) fn after(chain: Chain) -> Self {
        Self { chain, decisions: Vec::new(), lines: Vec::new() }
    }

    /// Adds a decision and its line.
    pub(super) fn add_decision(&mut self, record: &DecisionRecord) -> Result<(), StoreError> {
        let text = serde_json::to_string(record).map_err(|_| StoreError::Row { table: "decisions" })?;
        self.decisions.push((record.id.as_str().to_owned(), text));
        self.add_line(&record.audit_record())
    }

    /// Adds a line to the audit chain.
    pub(super) fn add_line(&mut self, record: &Record) -> Result<(), StoreError> {
        let line = self.chain.next(record)?;
        self.lines.push((i64::try_from(line.sequence).unwrap_or(i64::MAX), line.text));
        Ok(())
    }

    /// Writes all of them; returns the new end of the chain.
    pub(super) async fn write(self, transaction: &mut Transaction<'_, Sqlite>) -> Result<Chain, StoreError> {
        let Self { chain, mut decisions, mut lines } = self;
        while !decisions.is_empty() {
            let rest = decisions.split_off(decisions.len().min(TOGETHER));
            let mut insert = QueryBuilder::new("INSERT INTO decisions (id, record) ");
            insert.push_values(decisions, |mut row, (id, text)| {
                row.push_bind(id).push_bind(text);
            });
            insert.build().execute(&mut **transaction).await?;
            decisions = rest;
        }
        while !lines.is_empty() {
            let rest = lines.split_off(lines.len().min(TOGETHER));
            let mut insert = QueryBuilder::new("INSERT INTO audit (seq, line) ");
            insert.push_values(lines, |mut row, (sequence, text)| {
                row.push_bind(sequence).push_bind(text);
            });
            insert.build().execute(&mut **transaction).await?;
            lines = rest;
        }
        Ok(chain)
    }
}
