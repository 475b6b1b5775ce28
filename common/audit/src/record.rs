//! One audit record: who did what, how it ended and why, in one line.
//! It holds no token, key, assertion or query value; nothing here can carry one.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use symbolon_identity::{DecisionId, ReasonCode, Timestamp};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Event {
    /// A token was issued.
    #[serde(rename = "token.issued")]
    TokenIssued,
    /// A token was refused to an attested caller.
    #[serde(rename = "token.refused")]
    TokenRefused,
    /// A token was given back, or somebody tried to give back one that it has no say in.
    #[serde(rename = "token.revoked")]
    TokenRevoked,
    /// An operator revoked something, or lifted a revocation.
    #[serde(rename = "revocation.changed")]
    RevocationChanged,
    /// A request was let through.
    #[serde(rename = "request.admitted")]
    RequestAdmitted,
    /// An open stream goes on with another token.
    #[serde(rename = "stream.renewed")]
    StreamRenewed,
    /// A request was rejected.
    #[serde(rename = "request.rejected")]
    RequestRejected,
    /// Refusals before attestation, counted.
    #[serde(rename = "refusals.counted")]
    RefusalsCounted,
    /// Another configuration took effect.
    #[serde(rename = "config.reloaded")]
    ConfigReloaded,
    /// A changed configuration was refused, the old one stays.
    #[serde(rename = "config.refused")]
    ConfigRefused,
    /// Another set of policies took effect.
    #[serde(rename = "policies.reloaded")]
    PoliciesReloaded,
    /// A changed set of policies was refused, the old one stays.
    #[serde(rename = "policies.refused")]
    PoliciesRefused,
    /// A signing key was published.
    #[serde(rename = "key.published")]
    KeyPublished,
    /// A signing key began to sign.
    #[serde(rename = "key.activated")]
    KeyActivated,
    /// A signing key ceased to sign; its tokens are still valid.
    #[serde(rename = "key.retired")]
    KeyRetired,
    /// A signing key was forgotten: no token of it is valid any more.
    #[serde(rename = "key.removed")]
    KeyRemoved,
    /// A signing key was revoked: no token of it is to be trusted, whatever it says.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// A workload's pin moved to another key.
    #[serde(rename = "key.repinned")]
    KeyRepinned,
    /// The program started; a repaired tail is in the details.
    #[serde(rename = "program.started")]
    ProgramStarted,
    /// The program ended in order.
    #[serde(rename = "program.stopped")]
    ProgramStopped,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done or allowed.
    Success,
    /// It was refused, for the caller's sake or by policy.
    Denied,
    /// It failed on our side.
    Failed,
}

/// Who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// The workload id, client id or subject.
    pub id: String,
    /// The trust provider or issuer that vouched for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The attestation method or token type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The thumbprint of the key that was proved (RFC 7638).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The actors behind it, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_behalf_of: Vec<String>,
}

/// What it asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The resource or audience.
    pub resource: String,
    /// The gateway's route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// The token that was issued or presented: its ids, never itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// The `jti`.
    pub id: String,
    /// The `exp`.
    #[serde(serialize_with = "readable")]
    pub expires_at: Timestamp,
    /// What set the lifetime, such as `policy` or `evidence`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounded_by: Option<String>,
    /// The thumbprint of the key that signed it, so that a stolen key's tokens can be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// What happened.
    #[serde(rename = "event.name")]
    pub event: Event,
    /// When.
    #[serde(serialize_with = "readable")]
    pub time: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, if it did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// The decision that can be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// What it asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The token that was issued or presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// The policies that decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// The peer's address, or `unix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What else belongs to this kind of event.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

impl Record {
    /// A record of what happened, when and how it ended; the other fields are set where they are known.
    #[must_use]
    pub fn new(event: Event, time: Timestamp, outcome: Outcome) -> Self {
        Self {
            event,
            time,
            outcome,
            reason: None,
            decision_id: None,
            actor: None,
            target: None,
            token: None,
            policies: Vec::new(),
            source: None,
            details: Map::new(),
        }
    }

    /// The same record with one more detail.
    #[must_use]
    pub fn with_detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn readable<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
