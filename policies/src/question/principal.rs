//! Who asks: a workload, or a user for whom a token speaks.
//! Not here: proof of it; only facts that somebody checked get here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use symbolon_identity::{ClientId, GroupName, IssuerName, ProviderName, TrustDomain, WorkloadId};

use crate::{KubernetesFacts, TokenFacts};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are workloads")]
pub enum Principal {
    /// A workload.
    Workload(Workload),
    /// Anybody else that a verified token speaks for; asks at a gateway only.
    User(User),
}

impl Principal {
    /// The subject of a verified token: a workload if it is an id of `trust_domain`, otherwise a user.
    ///
    /// `trust_domain` is the one that the token's issuer speaks for, none if it speaks for none: another issuer's
    /// token must not make anybody a workload of ours.
    #[must_use]
    pub fn of_token(token: &TokenFacts, trust_domain: Option<&TrustDomain>) -> Self {
        let ours = |id: &WorkloadId| trust_domain.is_some_and(|domain| domain.as_str() == id.trust_domain());
        let id = WorkloadId::parse(&token.subject).ok().filter(ours);
        match (id, ProviderName::parse(token.issuer.as_str())) {
            (Some(id), Ok(provider)) => Self::Workload(Workload::new(id, provider, Assurance::Token)),
            _ => Self::User(User { issuer: token.issuer.clone(), subject: token.subject.clone() }),
        }
    }

    /// Its id, as `Symbolon::Workload::"…"` or `Symbolon::User::"…"` name it.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Workload(workload) => workload.id.as_str().to_owned(),
            Self::User(user) => user.id(),
        }
    }

    /// The workload, if it is one.
    #[must_use]
    pub fn workload(&self) -> Option<&Workload> {
        match self {
            Self::Workload(workload) => Some(workload),
            Self::User(_) => None,
        }
    }
}

impl From<Workload> for Principal {
    fn from(workload: Workload) -> Self {
        Self::Workload(workload)
    }
}

impl From<User> for Principal {
    fn from(user: User) -> Self {
        Self::User(user)
    }
}

/// A subject of a verified token that is no workload of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The issuer of the token, by its name in the configuration.
    pub issuer: IssuerName,
    /// The subject, as that issuer calls it.
    pub subject: String,
}

impl User {
    /// `<issuer name>:<subject>`. A name holds no colon, so that no two users share an id.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.issuer, self.subject)
    }
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
    /// What a Kubernetes cluster said about the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Box<KubernetesFacts>>,
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
            kubernetes: None,
            client: None,
            tags: BTreeMap::new(),
        }
    }
}

/// How strongly a workload was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// A token that names it was verified; how the workload itself was checked is not known here.
    Token,
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
            Self::Token => "token",
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
