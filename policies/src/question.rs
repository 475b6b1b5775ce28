//! What a program asks: who wants to do what, to which object, under which circumstances.
//! Not here: Cedar's own types (`translate`), and nothing that the caller merely claimed.

mod action;
mod kubernetes;
mod local;
mod principal;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_identity::{LocalTimeName, Timestamp};

pub use action::{Action, RequestFacts, Resource, Subject, TokenFacts};
pub use kubernetes::{KubernetesFacts, PodFacts, PodPosture};
pub use local::{LocalTime, LocalTimes, UnknownTimeZone, Weekday};
pub use principal::{Assurance, ClientFacts, OidcFacts, Principal, UnixFacts, User, Workload};

/// One question to the policies, in plain types, so that it can be recorded with its decision and asked again later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Who asks.
    pub principal: Principal,
    /// What the principal wants to do, and to what.
    pub action: Action,
    /// The circumstances, as the program that asks saw them.
    pub context: Context,
}

/// The circumstances of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// When the question was asked.
    pub now: Timestamp,
    /// The address of the socket's peer; none on a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<IpAddr>,
    /// How old the evidence is; none if no evidence was presented here.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub evidence_age: Option<Duration>,
    /// Whether the caller proved that it holds the key that the token is or will be bound to.
    pub key_bound: bool,
    /// Whether the workload proves another key than the one that it was seen with first; none where keys are not pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_changed: Option<bool>,
    /// The time of day at the places that the configuration names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub local: BTreeMap<LocalTimeName, LocalTime>,
}

impl Context {
    /// The circumstances of which nothing is known but the time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            source_ip: None,
            evidence_age: None,
            key_bound: false,
            key_changed: None,
            local: BTreeMap::new(),
        }
    }
}

/// Whole seconds on the wire.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde's `with` demands")]
    pub(super) fn serialize<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        age.map(|age| age.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}
