//! The signing keys as the broker's admin socket shows them and `symbolon key` prints them.
//! Not here: public keys for verifiers, which are a JWK set.

use serde::{Deserialize, Serialize};
use symbolon_identity::Timestamp;

/// All signing keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// The keys that verifiers can fetch, oldest first.
    pub keys: Vec<KeyDocument>,
    /// The keys that verifiers are told not to trust.
    pub revoked: Vec<RevokedKeyDocument>,
}

/// One signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDocument {
    /// Its id, which is its thumbprint (RFC 7638).
    pub kid: String,
    /// What it signs with.
    pub algorithm: String,
    /// Where it stands.
    pub state: KeyState,
    /// Since when verifiers can fetch it.
    pub published_at: Timestamp,
    /// When it began to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    /// When it ceased to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
    /// The latest `exp` among the tokens that it signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_until: Option<Timestamp>,
    /// When it is activated, retired or removed, whichever is next, as far as that is known.
    pub next_change_at: Timestamp,
}

/// Where a signing key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Verifiers can fetch it; it does not sign yet.
    Published,
    /// It signs.
    Active,
    /// It signs no more; its tokens are still valid.
    Retired,
}

impl KeyState {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// A signing key that nobody must trust any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedKeyDocument {
    /// Its id.
    pub kid: String,
    /// When it was revoked.
    pub revoked_at: Timestamp,
    /// Until when verifiers are told.
    pub until: Timestamp,
}

/// Why a change to the signing keys was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyProblem {
    /// What kind of thing failed; stable.
    pub code: String,
    /// One sentence for operators.
    pub error: String,
}
