#![doc = include_str!("../README.md")]

mod attempts;
mod disk;
mod error;
mod issuer;
mod issuers;
mod key_set;
mod keyring;
mod settings;
mod source;

#[cfg(test)]
mod tests;

pub use error::{Document, FetchError, IssuerError, SetupError};
pub use issuer::{Issuer, KeyStatus};
pub use issuers::Issuers;
pub use settings::{IssuerSettings, KeyPolicy, KeySource};
