//! Checks a whole audit file: every line, in order, from wherever the file begins.
//! It changes nothing; repairing a torn end is the sink's work.

use std::io::{self, BufRead};

use symbolon_jws::base64url;

use crate::chain::{Chain, LineError, MAX_LINE_BYTES};

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many records.
    pub records: u64,
    /// The number of the first record; 1 if nothing was cut off before it.
    pub first_sequence: Option<u64>,
    /// The number of the last record.
    pub last_sequence: Option<u64>,
    /// The hash of the last line, to compare with a copy kept elsewhere.
    pub head: Option<String>,
    /// Bytes after the last line feed: a line that was being written and that nobody was told is on record.
    pub torn_bytes: u64,
}

/// Why a file does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A line is not what it should be.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        problem: LineError,
    },
    /// The file could not be read.
    #[error("the audit file could not be read")]
    Io(#[from] io::Error),
}

/// Checks lines one by one: for records that are kept elsewhere than in a file.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    chain: Option<Chain>,
    first: Option<u64>,
    records: u64,
}

impl Verifier {
    /// Before the first line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the next line. The first one may have any number: older records may have been moved away.
    ///
    /// # Errors
    /// When the line is not what it should be.
    pub fn check(&mut self, line: &str) -> Result<(), LineError> {
        let chain = if let Some(mut chain) = self.chain {
            chain.follow(line)?;
            chain
        } else {
            let chain = Chain::resume(line)?;
            if chain.sequence() == 1 {
                Chain::start().follow(line)?;
            }
            chain
        };
        self.first.get_or_insert(chain.sequence());
        self.chain = Some(chain);
        self.records = self.records.saturating_add(1);
        Ok(())
    }

    /// What was checked.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            records: self.records,
            first_sequence: self.first,
            last_sequence: self.chain.map(|chain| chain.sequence()),
            head: self.chain.map(|chain| base64url::encode(chain.hash())),
            torn_bytes: 0,
        }
    }
}

/// Checks a whole file.
///
/// # Errors
/// The first line that is not what it should be, or a failed read.
pub fn verify(mut reader: impl BufRead) -> Result<Summary, VerifyError> {
    let mut verifier = Verifier::new();
    let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(2);
    for number in 1_u64.. {
        let mut line = Vec::new();
        let length = io::Read::take(&mut reader, limit).read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        let problem = match line.strip_suffix(b"\n").map(std::str::from_utf8) {
            Some(Ok(line)) => verifier.check(line).err(),
            Some(Err(_)) => Some(LineError::Malformed),
            None if line.len() > MAX_LINE_BYTES => Some(LineError::TooLong),
            None => {
                let torn_bytes = u64::try_from(length).unwrap_or(u64::MAX);
                return Ok(Summary { torn_bytes, ..verifier.summary() });
            }
        };
        if let Some(problem) = problem {
            return Err(VerifyError::Line { line: number, problem });
        }
    }
    Ok(verifier.summary())
}
