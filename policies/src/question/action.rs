//! What the principal wants to do, and to what.
//! Not here: whether it may.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use symbolon_identity::{GroupName, IssuerName, ResourceName, RouteName, Scope, Scopes};

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
    /// Obtain a token for a subject other than the caller, who stays visible as actor (RFC 8693 delegation).
    Exchange {
        /// The resource that the token would be for.
        resource: Resource,
        /// The scope; none if the resource has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
        /// The subject of the token that is exchanged.
        subject: Subject,
        /// The actors that the subject's token names already, newest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        actors: Vec<String>,
    },
    /// Obtain a token for a subject other than the caller, who does not appear in it.
    Impersonate {
        /// The resource that the token would be for.
        resource: Resource,
        /// The scope; none if the resource has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Scope>,
        /// The subject of the token that is exchanged.
        subject: Subject,
        /// The actors that the subject's token names already, newest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        actors: Vec<String>,
    },
    /// Present tokens that are addressed to a resource, as its operator: to exchange, introspect or revoke them.
    Operate {
        /// The resource.
        resource: Resource,
    },
    /// Call a route of a gateway with a verified token.
    Call {
        /// The route.
        route: RouteName,
        /// The request.
        request: RequestFacts,
        /// What the verified token says.
        token: TokenFacts,
    },
}

impl Action {
    /// The word that policies compare with: `Symbolon::Action::"<name>"`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Issue { .. } => "issue",
            Self::Exchange { .. } => "exchange",
            Self::Impersonate { .. } => "impersonate",
            Self::Operate { .. } => "operate",
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

/// The verified subject of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The issuer of its token.
    pub issuer: String,
    /// Its id as our tokens would name it: in its issuer's own namespace, or a SPIFFE ID.
    pub id: String,
    /// The audiences of its token.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub audiences: BTreeSet<String>,
    /// The scopes of its token.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub scopes: Scopes,
    /// Claims of its token, mapped by the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
}

/// A request at a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestFacts {
    /// Its method.
    pub method: String,
    /// The canonical path that is judged and forwarded, without the query.
    pub path: String,
    /// The host that it names, in lower case and without a port.
    pub host: String,
}

/// What a verified token says at a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFacts {
    /// Its issuer, by its name in the configuration.
    pub issuer: IssuerName,
    /// Its `sub`.
    pub subject: String,
    /// Its `client_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Its scopes.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub scopes: Scopes,
    /// The actors that it names, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<String>,
    /// Further claims, mapped by the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
}

impl TokenFacts {
    /// A token of this issuer for this subject, without anything else.
    #[must_use]
    pub fn new(issuer: IssuerName, subject: &str) -> Self {
        Self {
            issuer,
            subject: subject.to_owned(),
            client_id: None,
            scopes: Scopes::default(),
            actors: Vec::new(),
            claims: BTreeMap::new(),
        }
    }
}
