#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod check;
mod claims;
mod error;
mod proof_key;
mod replay;
mod target;

pub use check::{CheckedProof, MAX_AGE, MAX_PROOF_BYTES, MAX_SKEW, ProofExpectation, check};
pub use error::ProofError;
pub use proof_key::{ProofKey, ProofKeyError, ProofRequest};
pub use replay::{ReplayError, ReplayWindow};
