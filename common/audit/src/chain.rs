//! The hash chain: each line holds the hash of the line before it and its own.
//! It shows that a file was altered, not by whom; signed checkpoints are to come.

use serde::{Deserialize, Serialize};
use symbolon_jws::{base64url, sha256};

use crate::record::Record;

/// The longest line, without its line feed.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// Hashed before each line, so that no other hash of ours can stand for one of these.
const DOMAIN: &[u8] = b"symbolon-audit-v1\0";
const HASH_OPEN: &str = r#"{"hash":""#;
const HASH_CLOSE: &str = r#"","#;
const HASH_CHARS: usize = 43;

/// The end of a chain: what the next line follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    sequence: u64,
    hash: [u8; 32],
}

/// A record as a line of the chain, without the line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedLine {
    /// The number of the record, from 1.
    pub sequence: u64,
    /// The line.
    pub text: String,
}

/// Why a record cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("audit record longer than 64 KiB")]
    TooLarge,
    /// It has no JSON form.
    #[error("audit record has no JSON form")]
    NotSerializable,
}

impl EncodeError {
    /// Whether the cause is ours: always.
    #[must_use]
    pub const fn is_our_fault(self) -> bool {
        true
    }
}

/// Why a line is not the next one of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("line longer than 64 KiB")]
    TooLong,
    /// Not the form of an audit line.
    #[error("not an audit line")]
    Malformed,
    /// The line's own hash is another one: it was altered.
    #[error("the line does not have the hash that it states")]
    WrongHash,
    /// The line before it is another one: lines were altered, removed or moved.
    #[error("the line does not follow the line before it")]
    WrongPrevious,
    /// A number was left out or used twice.
    #[error("expected record {expected}, found {found}")]
    WrongSequence {
        /// The next number.
        expected: u64,
        /// The number in the line.
        found: u64,
    },
}

#[derive(Serialize)]
struct Body<'a> {
    prev: &'a str,
    seq: u64,
    #[serde(flatten)]
    record: &'a Record,
}

#[derive(Deserialize)]
struct Links {
    prev: String,
    seq: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self::start()
    }
}

impl Chain {
    /// Before the first record.
    #[must_use]
    pub const fn start() -> Self {
        Self { sequence: 0, hash: [0; 32] }
    }

    /// After this line, which is trusted to be the last one; its own hash is checked.
    ///
    /// # Errors
    /// When the line is malformed or was altered.
    pub fn resume(line: &str) -> Result<Self, LineError> {
        let (links, hash) = read(line)?;
        Ok(Self { sequence: links.seq, hash })
    }

    /// The number of the last record, 0 before the first.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The hash of the last line.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The line for `record`; the chain then ends with it. Who may fail to store the line keeps a copy of the
    /// chain from before and goes back to it.
    ///
    /// # Errors
    /// When the record is too large or has no JSON form; the chain stays as it was.
    pub fn next(&mut self, record: &Record) -> Result<ChainedLine, EncodeError> {
        let sequence = self.sequence.saturating_add(1);
        let prev = base64url::encode(self.hash);
        let body = serde_json::to_string(&Body { prev: &prev, seq: sequence, record })
            .map_err(|_| EncodeError::NotSerializable)?;
        let hash = hash_of(&body);
        let rest = body.strip_prefix('{').ok_or(EncodeError::NotSerializable)?;
        let text = format!("{HASH_OPEN}{}{HASH_CLOSE}{rest}", base64url::encode(hash));
        if text.len() > MAX_LINE_BYTES {
            return Err(EncodeError::TooLarge);
        }
        *self = Self { sequence, hash };
        Ok(ChainedLine { sequence, text })
    }

    /// Checks that `line` is the next one; the chain then ends with it.
    ///
    /// # Errors
    /// When it is not; the chain stays as it was.
    pub fn follow(&mut self, line: &str) -> Result<(), LineError> {
        let (links, hash) = read(line)?;
        let expected = self.sequence.saturating_add(1);
        if links.seq != expected {
            return Err(LineError::WrongSequence { expected, found: links.seq });
        }
        if links.prev != base64url::encode(self.hash) {
            return Err(LineError::WrongPrevious);
        }
        *self = Self { sequence: links.seq, hash };
        Ok(())
    }
}

/// The links of a line whose own hash is right.
fn read(line: &str) -> Result<(Links, [u8; 32]), LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::TooLong);
    }
    let after = line.strip_prefix(HASH_OPEN).ok_or(LineError::Malformed)?;
    let (stated, rest) = after.split_at_checked(HASH_CHARS).ok_or(LineError::Malformed)?;
    let rest = rest.strip_prefix(HASH_CLOSE).ok_or(LineError::Malformed)?;
    let body = format!("{{{rest}");
    let hash = hash_of(&body);
    if stated != base64url::encode(hash) {
        return Err(LineError::WrongHash);
    }
    let links = serde_json::from_str::<Links>(&body).map_err(|_| LineError::Malformed)?;
    Ok((links, hash))
}

fn hash_of(body: &str) -> [u8; 32] {
    sha256(&[DOMAIN, body.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use symbolon_identity::Timestamp;

    use super::{Chain, EncodeError, LineError};
    use crate::record::{Event, Outcome, Record};

    fn record(text: &str) -> Record {
        let time = Timestamp::from_secs(1_800_000_000).unwrap();
        Record::new(Event::TokenIssued, time, Outcome::Success).with_detail("text", text)
    }

    #[test]
    fn a_line_is_json_and_follows_the_line_before_it() {
        let (mut writer, mut reader) = (Chain::start(), Chain::start());
        for text in ["one", "two \n \" {\"seq\":9}", "three"] {
            let line = writer.next(&record(text)).unwrap();
            let json: serde_json::Value = serde_json::from_str(&line.text).unwrap();
            assert_eq!(json["event.name"], "token.issued");
            assert_eq!(json["seq"], line.sequence);
            assert!(!line.text.contains('\n'));
            reader.follow(&line.text).unwrap();
            assert_eq!(Chain::resume(&line.text).unwrap(), writer);
        }
        assert_eq!(reader, writer);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let line = Chain::start().next(&record("x")).unwrap().text;
        for index in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[index] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(Chain::start().follow(&changed).is_err(), "{index}: {changed}");
        }
    }

    #[test]
    fn a_removed_or_repeated_line_is_noticed() {
        let mut writer = Chain::start();
        let lines: Vec<_> = ["a", "b", "c"].map(|text| writer.next(&record(text)).unwrap().text).into();
        let mut reader = Chain::start();
        reader.follow(&lines[0]).unwrap();
        assert_eq!(reader.follow(&lines[0]), Err(LineError::WrongSequence { expected: 2, found: 1 }));
        assert_eq!(reader.follow(&lines[2]), Err(LineError::WrongSequence { expected: 2, found: 3 }));
        let mut other = Chain::start();
        other.next(&record("other")).unwrap();
        let forged = other.next(&record("b")).unwrap().text;
        assert_eq!(reader.follow(&forged), Err(LineError::WrongPrevious));
        reader.follow(&lines[1]).unwrap();
    }

    #[test]
    fn a_record_that_is_too_large_leaves_the_chain_as_it_was() {
        let mut chain = Chain::start();
        assert_eq!(chain.next(&record(&"x".repeat(70_000))), Err(EncodeError::TooLarge));
        assert_eq!(chain, Chain::start());
    }
}
