#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod actor;
mod claims;
mod confirmation;
mod error;
mod expectations;
mod hash;
mod introspected;
mod names;
mod opaque;
mod revocation;
mod signed;
mod token_type;
mod unverified;
mod verified;

pub use actor::Actor;
pub use claims::{ClaimName, ClaimNameError, Claims, ExtraClaims};
pub use confirmation::Confirmation;
pub use error::TokenError;
pub use expectations::{AudienceRule, DEFAULT_LEEWAY, Expectations, RequiredClaim};
pub use hash::TokenHash;
pub use introspected::IntrospectedToken;
pub use names::{Issuer, Subject};
pub use opaque::OpaqueToken;
pub use revocation::{Revocation, RevocationKind, RevocationSet};
pub use signed::{SignedToken, sign};
pub use token_type::{TokenType, UnknownTokenType};
pub use unverified::UnverifiedToken;
pub use verified::VerifiedToken;

#[cfg(test)]
mod tests;
