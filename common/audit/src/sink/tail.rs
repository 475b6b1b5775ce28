//! Reads the end of a file that an earlier process may have left in the middle of a write.
//! Only the end: the whole file is checked by `verify`.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

use super::{MAX_BATCH, OpenError};
use crate::chain::{Chain, LineError, MAX_LINE_BYTES};

/// At most one batch can be on disk in part, and before it there must be one whole line.
const WINDOW: usize = (MAX_BATCH + 2) * (MAX_LINE_BYTES + 1);

/// Where the sound part of the file ends, and the chain there.
pub(super) struct Found {
    pub(super) durable: u64,
    pub(super) chain: Chain,
}

/// Finds the end of the sound part. After it there is nothing, or what an interrupted write leaves: a line
/// without its line feed, or blocks of zeros after a power cut.
///
/// # Errors
/// When a whole line near the end was altered, or more than one batch follows a part that was not written: that is no
/// interrupted write, and is not mended.
pub(super) fn examine(file: &mut File) -> Result<Found, OpenError> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(u64::try_from(WINDOW).unwrap_or(u64::MAX));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length - start).read_to_end(&mut bytes)?;

    let mut offset = start;
    let mut chain = if start == 0 { Some(Chain::start()) } else { None };
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    if start > 0 {
        // The window opens within a line; it ends before the first whole one.
        offset += lines.next().map_or(0, length_of);
    }
    while let Some(line) = lines.next() {
        let Some(text) = whole(line) else {
            // What follows an unwritten part was written by the same interrupted flush, or the part was not unwritten
            // but altered, and records that callers were told of follow it.
            if lines.filter(|line| whole(line).is_some()).count() >= MAX_BATCH {
                return Err(OpenError::Altered(LineError::Malformed));
            }
            break;
        };
        let text = std::str::from_utf8(text).map_err(|_| OpenError::Altered(LineError::Malformed))?;
        chain = Some(match chain {
            // A file may begin with a later record: older ones may have been moved away.
            Some(chain) if chain != Chain::start() => follow(chain, text)?,
            _ => Chain::resume(text).map_err(OpenError::Altered)?,
        });
        offset += length_of(line);
    }
    let chain = chain.ok_or(OpenError::Altered(LineError::TooLong))?;
    Ok(Found { durable: offset, chain })
}

/// The text of a line that was written to its end.
fn whole(line: &[u8]) -> Option<&[u8]> {
    line.strip_suffix(b"\n").filter(|text| !text.contains(&0))
}

fn follow(mut chain: Chain, line: &str) -> Result<Chain, OpenError> {
    chain.follow(line).map_err(OpenError::Altered)?;
    Ok(chain)
}

fn length_of(line: &[u8]) -> u64 {
    u64::try_from(line.len()).unwrap_or(u64::MAX)
}
