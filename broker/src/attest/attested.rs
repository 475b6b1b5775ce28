//! A caller that somebody vouched for.
//! Not here: how it was checked; each attestor knows that of its own kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_cel::{Bindings, Environment, Shape, Value};
use symbolon_identity::{ClientId, GroupName, IdentityError, ProviderName, Timestamp, WorkloadId};
use symbolon_policies::{Assurance, ClientFacts, KubernetesFacts, OidcFacts, Workload};

use super::unix::UnixPeer;
use crate::store::Use;

/// A workload that was attested, with what was learned about it. Only attestors make one.
#[derive(Debug)]
pub(crate) struct Attested {
    identity: Identity,
    facts: Facts,
    fields: Value,
    freshness: Freshness,
    key_changed: Option<bool>,
    uses: Vec<Use>,
}

/// Who was attested, by whom.
#[derive(Debug)]
pub(super) struct Identity {
    workload: WorkloadId,
    client_id: ClientId,
    provider: ProviderName,
    method: Method,
    assurance: Assurance,
}

impl Identity {
    /// A workload that this provider vouches for.
    ///
    /// # Errors
    /// [`IdentityError`] if its id is too long for a `client_id`.
    pub(super) fn new(
        workload: WorkloadId,
        provider: &ProviderName,
        method: Method,
    ) -> Result<Self, IdentityError> {
        let client_id = ClientId::parse(workload.as_str())?;
        Ok(Self { workload, client_id, provider: provider.clone(), method, assurance: method.assurance() })
    }

    /// The same, checked so strongly.
    pub(super) fn with(self, assurance: Assurance) -> Self {
        Self { assurance, ..self }
    }
}

/// How a workload was attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// As the peer of our Unix socket.
    Unix,
    /// By a JWT of an issuer.
    Oidc,
    /// By a service account token of a pod.
    Kubernetes,
    /// By a registered key of its own.
    PrivateKeyJwt,
}

impl Method {
    /// The word in records.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Oidc => "oidc",
            Self::Kubernetes => "kubernetes",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    const fn assurance(self) -> Assurance {
        match self {
            Self::Unix => Assurance::Connection,
            Self::Oidc | Self::Kubernetes | Self::PrivateKeyJwt => Assurance::Signed,
        }
    }
}

/// What was learned, by kind.
#[derive(Debug)]
pub(super) enum Facts {
    Unix(UnixPeer),
    Oidc { issuer: String, subject: String },
    Kubernetes(Box<KubernetesFacts>),
    Client(ClientId),
}

/// How old the evidence is, and how long it vouches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Freshness {
    pub(super) age: Option<Duration>,
    pub(super) not_after: Option<Timestamp>,
}

impl Attested {
    /// Only attestors call this, after their checks.
    pub(super) fn new(identity: Identity, facts: Facts, fields: Value, freshness: Freshness) -> Self {
        Self { identity, facts, fields, freshness, key_changed: None, uses: Vec::new() }
    }

    /// The same, using this up.
    pub(super) fn using(mut self, what: Use) -> Self {
        self.uses.push(what);
        self
    }

    /// The same, with whether its key is another than at first.
    pub(super) fn with_key_changed(self, changed: bool) -> Self {
        Self { key_changed: Some(changed), ..self }
    }

    /// Whether it proves another key than at first; none where keys are not pinned.
    pub(crate) fn key_changed(&self) -> Option<bool> {
        self.key_changed
    }

    /// Its SPIFFE ID.
    pub(crate) fn workload(&self) -> &WorkloadId {
        &self.identity.workload
    }

    /// Its SPIFFE ID as the `client_id` of its tokens.
    pub(crate) fn client_id(&self) -> &ClientId {
        &self.identity.client_id
    }

    /// The trust provider that vouched.
    pub(crate) fn provider(&self) -> &ProviderName {
        &self.identity.provider
    }

    /// How it was attested.
    pub(crate) fn method(&self) -> Method {
        self.identity.method
    }

    /// How old the evidence is, if it says.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.freshness.age
    }

    /// The end of what it vouches for; no token may outlive it.
    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        self.freshness.not_after
    }

    /// What its presentation uses up.
    pub(crate) fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// Whether a `client_id` means this caller: its SPIFFE ID, or the id it is registered under.
    pub(crate) fn is_called(&self, claimed: &str) -> bool {
        let registered = match &self.facts {
            Facts::Client(client) => client.as_str() == claimed,
            Facts::Unix(_) | Facts::Oidc { .. } | Facts::Kubernetes(_) => false,
        };
        registered || self.workload().as_str() == claimed
    }

    /// The variables of group expressions: `workload` and `attested`.
    pub(crate) fn bindings(&self) -> Result<Bindings, symbolon_cel::ValueError> {
        let workload = Value::map([
            ("id", self.workload().as_str().into()),
            ("path", self.workload().path().into()),
            ("provider", self.provider().as_str().into()),
            ("method", self.method().as_str().into()),
        ])?;
        Ok(Bindings::new().with("workload", workload).with("attested", self.fields.clone()))
    }

    /// The caller as policies see it.
    pub(crate) fn principal(&self, groups: BTreeSet<GroupName>) -> Workload {
        let (mut unix, mut oidc, mut kubernetes, mut client) = (None, None, None, None);
        match &self.facts {
            Facts::Unix(peer) => unix = Some(peer.facts()),
            Facts::Oidc { issuer, subject } => {
                oidc = Some(OidcFacts { issuer: issuer.clone(), subject: subject.clone() });
            }
            Facts::Kubernetes(facts) => kubernetes = Some(facts.clone()),
            Facts::Client(id) => client = Some(ClientFacts { id: id.clone() }),
        }
        Workload {
            id: self.workload().clone(),
            provider: self.provider().clone(),
            assurance: self.identity.assurance,
            groups,
            unix,
            oidc,
            kubernetes,
            client,
            tags: BTreeMap::new(),
        }
    }
}

/// The language of expressions over an attested workload: what [`Attested::bindings`] binds.
pub(crate) fn language() -> Environment {
    let text = |name: &'static str| (name, Shape::String);
    let workload = Shape::record([text("id"), text("path"), text("provider"), text("method")]);
    Environment::builder()
        .declare("workload", workload)
        .declare("attested", attested_shape())
        .whole_matches()
        .build()
}

/// What expressions may name of a workload of any kind: a field that a caller's kind lacks is absent, and an
/// expression that reads it then has no result.
fn attested_shape() -> Shape {
    let mut fields = BTreeMap::new();
    for shape in
        [super::unix::shape(), super::oidc::shape(), super::kubernetes::shape(), super::clients::shape()]
    {
        if let Shape::Record(of_kind) = shape {
            fields.extend(of_kind);
        }
    }
    Shape::Record(fields)
}
