//! Registered clients that authenticate with a key of their own (`private_key_jwt`, RFC 7523 §2.2).
//! Not here: shared secrets; there are none.

use std::collections::BTreeMap;
use std::time::Duration;

use symbolon_cel::{Shape, Value};
use symbolon_identity::{Audience, ClientId, ProviderName, Timestamp, WorkloadId};
use symbolon_jws::JwkSet;
use symbolon_token::{
    AudienceRule, DEFAULT_LEEWAY, Expectations, RequiredClaim, TokenType, UnverifiedToken, VerifiedToken,
};

use super::attested::{Facts, Freshness, Identity};
use super::mapping::MappingError;
use super::oidc::{not_delegated, one_shot_digest};
use super::{AttestFuture, Attested, Attestor, Evidence, Method, Wanted};
use crate::grants::{Assertion, Credential};
use crate::refusal::Refusal;
use crate::store::Use;

/// An assertion that lives longer would have to be remembered as used for longer.
pub(super) const LONGEST_ASSERTION: Duration = Duration::from_hours(1);

/// Checks assertions of registered clients.
#[derive(Debug)]
pub(super) struct ClientAttestor {
    pub(super) provider: ProviderName,
    pub(super) clients: BTreeMap<ClientId, Registered>,
    /// Our issuer first, then the token endpoint for those that may use it.
    pub(super) audiences: [Audience; 2],
}

/// One registered client.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) workload: WorkloadId,
    pub(super) keys: JwkSet,
    pub(super) legacy_audience: bool,
    pub(super) max_lifetime: Duration,
}

/// What expressions may name of a registered client.
pub(super) fn shape() -> Shape {
    Shape::record([("client_id", Shape::String)])
}

impl Attestor for ClientAttestor {
    fn provider(&self) -> &ProviderName {
        &self.provider
    }

    fn is_for(&self, evidence: &Evidence<'_>) -> bool {
        match evidence.credential {
            Credential::Connection => false,
            Credential::Assertion(assertion) => self.registered(&assertion.token).is_some(),
        }
    }

    fn wants(&self) -> Wanted<'_> {
        Wanted { method: Method::PrivateKeyJwt, issuer: None, audiences: self.audiences.iter().collect() }
    }

    fn attest<'a>(&'a self, evidence: Evidence<'a>, now: Timestamp) -> AttestFuture<'a> {
        Box::pin(async move {
            let Credential::Assertion(assertion) = evidence.credential else {
                return Err(Refusal::EvidenceMissing.into());
            };
            let (id, client) = self.registered(&assertion.token).ok_or(Refusal::UnknownClient)?;
            let token = self.verify(id, client, &assertion.token, now)?;
            Ok(self.attested((id, client), assertion, &token, now)?)
        })
    }
}

impl ClientAttestor {
    /// The client that an assertion says it is from.
    fn registered(&self, token: &UnverifiedToken) -> Option<(&ClientId, &Registered)> {
        let id = ClientId::parse(token.issuer_hint()?).ok()?;
        self.clients.get_key_value(&id)
    }

    fn verify(
        &self,
        id: &ClientId,
        client: &Registered,
        token: &UnverifiedToken,
        now: Timestamp,
    ) -> Result<VerifiedToken, Refusal> {
        let key = client.keys.find(token.key_id_hint(), token.algorithm_hint()).ok_or(Refusal::UnknownKey)?;
        let [issuer, _] = &self.audiences;
        let expectations = Expectations {
            issuer: id.as_str(),
            audience: if client.legacy_audience {
                AudienceRule::SoleAny(&self.audiences)
            } else {
                AudienceRule::Sole(issuer)
            },
            token_types: &[TokenType::Jwt, TokenType::ClientAuthentication, TokenType::Absent],
            max_lifetime: client.max_lifetime,
            leeway: DEFAULT_LEEWAY,
            required: &[RequiredClaim::TokenId],
        };
        let token = token.verify(key, &expectations, now).map_err(Refusal::ClientAssertion)?;
        not_delegated(token.claims())?;
        // RFC 7523 §3: for client authentication the subject is the client itself.
        if token.claims().subject.as_str() != id.as_str() {
            return Err(Refusal::ClientMismatch);
        }
        Ok(token)
    }

    fn attested(
        &self,
        (id, client): (&ClientId, &Registered),
        assertion: &Assertion,
        token: &VerifiedToken,
        now: Timestamp,
    ) -> Result<Attested, Refusal> {
        let claims = token.claims();
        let refused = |source: MappingError| Refusal::Mapping { provider: self.provider.clone(), source };
        let fields = Value::map([("client_id", id.as_str().into())]);
        let fields = fields.map_err(|error| refused(error.into()))?;
        let identity = Identity::new(client.workload.clone(), &self.provider, Method::PrivateKeyJwt);
        let identity = identity.map_err(|error| refused(error.into()))?;
        let age = claims.issued_at.map(|issued_at| now.saturating_since(issued_at));
        let freshness = Freshness { age, not_after: None };
        let used = Use::Evidence {
            digest: one_shot_digest(&self.provider, claims, assertion),
            expires_at: claims.expires_at,
        };
        Ok(Attested::new(identity, Facts::Client(id.clone()), fields, freshness).using(used))
    }
}
