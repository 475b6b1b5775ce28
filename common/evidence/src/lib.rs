#![doc = include_str!("../README.md")]

pub mod oidc;
pub mod unix;

mod evidence;
mod source;

pub use evidence::{Assertion, AssertionType, Evidence};
pub use oidc::TokenFileConfig;
pub use source::{EvidenceError, Source, SourceConfig};
pub use symbolon_config::protected_file;
pub use unix::UnixConfig;
