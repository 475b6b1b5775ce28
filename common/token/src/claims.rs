//! What a token says, in our words.
//! Not here: whether it is true. In a [`VerifiedToken`](crate::VerifiedToken) its issuer said so.

mod name;
mod read;
mod write;

use symbolon_identity::{Audience, ClientId, Scopes, Timestamp, TokenId};

use crate::{Actor, Confirmation, Issuer, Subject};

pub use name::{ClaimName, ClaimNameError};
pub(crate) use read::text;

/// The members of a claims set that have no field of their own.
pub type ExtraClaims = serde_json::Map<String, serde_json::Value>;

/// The claims of a JWT (RFC 7519 §4.1, RFC 9068 §2.2, RFC 8693 §4).
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Issuer,
    /// `sub`.
    pub subject: Subject,
    /// `aud`, never empty.
    pub audiences: Vec<Audience>,
    /// `client_id`: who asked for the token.
    pub client_id: Option<ClientId>,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `nbf`.
    pub not_before: Option<Timestamp>,
    /// `exp`, the first second in which the token is no longer good.
    pub expires_at: Timestamp,
    /// `jti`.
    pub token_id: Option<TokenId>,
    /// `scope`.
    pub scopes: Scopes,
    /// `cnf`: the key that the token is bound to.
    pub confirmation: Option<Confirmation>,
    /// `act`: who acts for the subject.
    pub actor: Option<Actor>,
    /// `lineage`: the token that this one was derived from, at the root of the chain.
    pub lineage: Option<TokenId>,
    /// Everything else, as it was sent.
    pub extra: ExtraClaims,
}

impl Claims {
    /// The claims that every token has; the others start empty.
    #[must_use]
    pub fn new(issuer: Issuer, subject: Subject, audience: Audience, expires_at: Timestamp) -> Self {
        Self {
            issuer,
            subject,
            audiences: vec![audience],
            client_id: None,
            issued_at: None,
            not_before: None,
            expires_at,
            token_id: None,
            scopes: Scopes::default(),
            confirmation: None,
            actor: None,
            lineage: None,
            extra: ExtraClaims::new(),
        }
    }
}
