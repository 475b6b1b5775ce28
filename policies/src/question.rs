//! What a program asks: who wants to do what, to which object, under which circumstances.
//! Not here: Cedar's own types (`translate`), and nothing that the caller merely claimed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_identity::{
    ClientId, GroupName, ProviderName, ResourceName, RouteName, Scope, Scopes, Timestamp, WorkloadId,
};

/// One question to the policies, in plain types, so that it can be recorded with its decision and asked again later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Who asks.
    pub principal: Workload,
    /// What the principal wants to do, and to what.
    pub action: Action,
    /// The circumstances, as the program that asks saw them.
    pub context: Context,
}

/// An attested workload: only facts that somebody checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its SPIFFE ID.
    pub id: WorkloadId,
    /// The trust provider that vouched for it.
    pub provider: ProviderName,
    /// How strongly it was checked.
    pub assurance: Assurance,
    /// The groups it belongs to, by the configuration's mappings.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupName>,
    /// What the kernel said about a peer on a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix: Option<UnixFacts>,
    /// What a verified OpenID Connect token said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcFacts>,
    /// The registered client that authenticated with its own key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientFacts>,
    /// Further attested attributes, mapped by the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Workload {
    /// A workload without groups, platform facts and tags.
    #[must_use]
    pub fn new(id: WorkloadId, provider: ProviderName, assurance: Assurance) -> Self {
        Self {
            id,
            provider,
            assurance,
            groups: BTreeSet::new(),
            unix: None,
            oidc: None,
            client: None,
            tags: BTreeMap::new(),
        }
    }
}

/// How strongly a workload was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// A signature was verified, and nothing else was looked up.
    Signed,
    /// The connection itself is the proof: the kernel or the TLS handshake named the peer.
    Connection,
    /// A signature was verified, and the platform confirmed just now that the workload is alive.
    Live,
}

impl Assurance {
    /// The word that policies compare with.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Connection => "connection",
            Self::Live => "live",
        }
    }
}

/// What the kernel said about the process at the other end of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnixFacts {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The user's name, if the machine knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The path of the executable, if it could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// The SHA-256 of the executable, in lower-case hexadecimal, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable_sha256: Option<String>,
}

/// What a verified OpenID Connect token said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcFacts {
    /// The issuer, exactly as configured.
    pub issuer: String,
    /// The subject at that issuer.
    pub subject: String,
}

/// A registered client that authenticated with its own key (`private_key_jwt`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientFacts {
    /// Its client id.
    pub id: ClientId,
}

/// What the principal wants to do, with the object of the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Obtain a token for a resource; each requested scope is one question.
    Issue {
        /// The resource that the token would be for.
        resource: Resource,
        /// The scope; none if the resource has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
    },
    /// Call a route of a gateway with a verified token.
    Call {
        /// The route.
        route: RouteName,
        /// The request's method.
        method: String,
        /// The canonical path that is judged and forwarded.
        path: String,
        /// The scopes of the verified token.
        scopes: Scopes,
    },
}

impl Action {
    /// The word that policies compare with: `Symbolon::Action::"<name>"`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Issue { .. } => "issue",
            Self::Call { .. } => "call",
        }
    }
}

/// A resource of the broker's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its name.
    pub name: ResourceName,
    /// The groups of resources it belongs to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupName>,
}

impl Resource {
    /// A resource that is in no group.
    #[must_use]
    pub fn new(name: ResourceName) -> Self {
        Self { name, groups: BTreeSet::new() }
    }
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
