#![doc = include_str!("../README.md")]

mod chain;
mod record;
mod refusals;
mod repeats;
mod sink;
mod verify;

pub use chain::{Chain, ChainedLine, EncodeError, LineError, MAX_LINE_BYTES};
pub use record::{Actor, Event, Outcome, Record, Target, Token};
pub use refusals::{RefusalCount, RefusalCounters, SourcePrefix};
pub use repeats::{Repeated, Repeats, Repetition};
pub use sink::{AppendError, FileSink, MAX_BATCH, OpenError, Opened, Receipt, Writer};
pub use verify::{Summary, Verifier, VerifyError, verify};
