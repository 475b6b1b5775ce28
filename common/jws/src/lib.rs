#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod algorithm;
pub mod base64url;
mod crypto;
mod error;
mod header;
pub mod inspect;
mod jwk;
mod jwk_set;
mod jws;
mod roca;
mod signing_key;
pub mod strict_json;
mod thumbprint;
mod verifying_key;
mod visible;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use crypto::{CryptoError, random_bytes, sha256};
pub use error::JwsError;
pub use header::{Header, SigningHeader};
pub use jwk::{Jwk, JwkError};
pub use jwk_set::{JwkSet, JwkSetError, SkippedKey};
pub use jws::{MAX_TOKEN_BYTES, UnverifiedJws, VerifiedJws};
pub use signing_key::{SigningKey, SigningKeyError};
pub use thumbprint::{Thumbprint, ThumbprintError};
pub use verifying_key::VerifyingKey;
pub use visible::{is_unsafe_to_show, visible};

#[cfg(test)]
mod vectors;
