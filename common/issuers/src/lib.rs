#![doc = include_str!("../README.md")]

mod attempts;
mod discovery;
mod disk;
mod error;
mod introspection;
mod issuer;
mod issuers;
mod key_set;
mod keyring;
mod settings;
mod source;

#[cfg(test)]
mod tests;

pub use error::{Document, FetchError, IssuerError, SetupError};
pub use introspection::{
    Asker, Authentication, Credential, Introspection, IntrospectionError, IntrospectionFailure,
    IntrospectionSettings,
};
pub use issuer::{Issuer, KeyStatus};
pub use issuers::Issuers;
pub use settings::{CustomKeys, FetchKeys, IssuerSettings, KeyPolicy, KeySource, KeysFuture};
