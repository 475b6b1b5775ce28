//! What the broker would say of evidence, as its admin socket answers and `symbolon doctor` prints it.
//! Not here: the evidence itself, which is never part of an answer.

use serde::{Deserialize, Serialize};
use symbolon_identity::{ReasonCode, Timestamp};

/// What would come of evidence at the token endpoint, up to where policies are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appraisal {
    /// The broker's clock.
    pub now: Timestamp,
    /// Whose evidence it is, if that was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// The end of what it vouches for, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Why it is refused; none if it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// The same in words for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Every trust provider, in the order of the configuration's kinds.
    pub providers: Vec<ProviderAppraisal>,
}

/// What one trust provider has to say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderAppraisal {
    /// Its name.
    pub name: String,
    /// What it takes: `unix`, `oidc`, `kubernetes` or `private_key_jwt`.
    pub method: String,
    /// Whether it takes this.
    pub verdict: ProviderVerdict,
    /// Why, in words for operators.
    pub why: String,
    /// The exact `iss` that it takes, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The audiences that it takes; a token has exactly one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// How its issuer's keys are doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeysSeen>,
}

/// Whether a provider takes evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderVerdict {
    /// It does.
    Takes,
    /// It does from who proves the key that the evidence belongs to, which the broker was not shown here.
    TakesWithKey,
    /// It is asked, and refuses.
    Refuses,
    /// It is not asked.
    NotAsked,
}

/// The keys of an issuer as the broker has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysSeen {
    /// So many.
    pub count: usize,
    /// When they were fetched; none if never, or if they stand in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<Timestamp>,
    /// Whether they are young enough to be used.
    pub usable: bool,
    /// Fetches that failed since the last one that did not.
    pub failures: u32,
}

impl Appraisal {
    /// Whether a grant would go on to the policies; with `TakesWithKey`, if the key is proved.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.providers.iter().any(|provider| {
            matches!(provider.verdict, ProviderVerdict::Takes | ProviderVerdict::TakesWithKey)
        })
    }
}
