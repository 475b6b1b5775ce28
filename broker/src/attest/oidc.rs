//! Evidence that is a JWT of an issuer: CI systems, clouds, any OpenID Connect provider.
//! Not here: the issuer's keys (`symbolon-issuers`), or live look-ups at the platform.

use std::sync::Arc;

use symbolon_cel::{Shape, Value, ValueError};
use symbolon_identity::{Audience, ProviderName, Timestamp, TrustDomain};
use symbolon_issuers::Issuer;
use symbolon_jws::sha256;
use symbolon_token::{AudienceRule, Claims, UnverifiedToken, VerifiedToken};

use super::attested::{Facts, Freshness, Identity};
use super::mapping::{Mapping, MappingError};
use super::{AttestFuture, Attested, Attestor, Evidence, Method, Unattested, Wanted, assertion_of};
use crate::config::Replay;
use crate::grants::Assertion;
use crate::proofs::ProvedKey;
use crate::refusal::Refusal;
use crate::store::Use;

/// Checks tokens of one issuer.
#[derive(Debug)]
pub(super) struct OidcAttestor {
    pub(super) provider: ProviderName,
    pub(super) domain: TrustDomain,
    pub(super) issuer: Arc<Issuer>,
    pub(super) audience: Audience,
    pub(super) mapping: Mapping,
    pub(super) replay: Replay,
    pub(super) allow_bearer: bool,
}

/// What the expressions of an `oidc` provider may name.
pub(super) fn shape() -> Shape {
    Shape::record([
        ("issuer", Shape::String),
        ("subject", Shape::String),
        ("claims", Shape::map(Shape::Dynamic)),
    ])
}

impl Attestor for OidcAttestor {
    fn provider(&self) -> &ProviderName {
        &self.provider
    }

    fn is_for(&self, evidence: &Evidence<'_>) -> bool {
        assertion_of(evidence, &self.issuer).is_some()
    }

    fn wants(&self) -> Wanted<'_> {
        Wanted { method: Method::Oidc, issuer: Some(&self.issuer), audiences: vec![&self.audience] }
    }

    fn attest<'a>(&'a self, evidence: Evidence<'a>, now: Timestamp) -> AttestFuture<'a> {
        Box::pin(async move {
            let Some(assertion) = assertion_of(&evidence, &self.issuer) else {
                return Err(Refusal::EvidenceMissing.into());
            };
            let token = self.verify(&assertion.token, now).await?;
            let attested = self.attested(&token, now)?;
            match self.used(assertion, token.claims(), evidence.key) {
                Ok(used) => Ok(attested.using(used)),
                Err(refusal) => Err(Unattested::WrongKey { owner: Box::new(attested), refusal }),
            }
        })
    }
}

impl OidcAttestor {
    async fn verify(&self, token: &UnverifiedToken, now: Timestamp) -> Result<VerifiedToken, Refusal> {
        let rule = AudienceRule::Sole(&self.audience);
        let token = self.issuer.verify(token, rule, now).await.map_err(Refusal::Evidence)?;
        not_delegated(token.claims())?;
        Ok(token)
    }

    fn attested(&self, token: &VerifiedToken, now: Timestamp) -> Result<Attested, Refusal> {
        let claims = token.claims();
        let refused = |source: MappingError| Refusal::Mapping { provider: self.provider.clone(), source };
        let fields = fields(claims).map_err(|error| refused(error.into()))?;
        let workload = self.mapping.workload(&fields, &self.domain).map_err(refused)?;
        let identity = Identity::new(workload, &self.provider, Method::Oidc);
        let identity = identity.map_err(|error| refused(error.into()))?;
        let facts = Facts::Oidc {
            issuer: claims.issuer.as_str().to_owned(),
            subject: claims.subject.as_str().to_owned(),
        };
        let freshness = Freshness {
            age: claims.issued_at.map(|issued_at| now.saturating_since(issued_at)),
            not_after: match self.replay {
                Replay::OneShot => None,
                Replay::KeyBound => Some(claims.expires_at),
            },
        };
        Ok(Attested::new(identity, facts, fields, freshness))
    }

    /// What this presentation uses up, by the provider's replay class. All refusals here are about the key.
    fn used(&self, assertion: &Assertion, claims: &Claims, key: Option<&ProvedKey>) -> Result<Use, Refusal> {
        check_binding(claims, key)?;
        let expires_at = claims.expires_at;
        match self.replay {
            Replay::OneShot => {
                Ok(Use::Evidence { digest: one_shot_digest(&self.provider, claims, assertion), expires_at })
            }
            Replay::KeyBound if key.is_none() && !self.allow_bearer => {
                Err(Refusal::EvidenceUnproved { provider: self.provider.clone() })
            }
            Replay::KeyBound => Ok(Use::Binding {
                digest: digest("key_bound", &self.provider, &assertion.digest),
                key: key.map(ProvedKey::thumbprint),
                expires_at,
            }),
        }
    }
}

/// Names one-shot evidence: by its `jti`, else by what its signature covers.
pub(super) fn one_shot_digest(provider: &ProviderName, claims: &Claims, assertion: &Assertion) -> [u8; 32] {
    match &claims.token_id {
        Some(id) => {
            let named = format!("{}\0{id}", claims.issuer);
            digest("one_shot_id", provider, named.as_bytes())
        }
        None => digest("one_shot", provider, &assertion.digest),
    }
}

fn digest(class: &str, provider: &ProviderName, what: &[u8]) -> [u8; 32] {
    sha256(&[class.as_bytes(), b"\0", provider.as_str().as_bytes(), b"\0", what].concat())
}

/// A token with an actor says that somebody else acts for its subject (RFC 8693 §4.1): it is no evidence that the
/// subject itself is here.
pub(super) fn not_delegated(claims: &Claims) -> Result<(), Refusal> {
    if claims.actor.is_some() { Err(Refusal::EvidenceDelegated) } else { Ok(()) }
}

/// Evidence that its issuer bound to a key counts only together with that key (RFC 7800 §3).
pub(super) fn check_binding(claims: &Claims, key: Option<&ProvedKey>) -> Result<(), Refusal> {
    let Some(confirmation) = &claims.confirmation else { return Ok(()) };
    let held = key.map(ProvedKey::thumbprint);
    if confirmation.x5t_s256.is_none() && confirmation.jkt.is_some() && confirmation.jkt == held {
        Ok(())
    } else {
        Err(Refusal::EvidenceBound)
    }
}

fn fields(claims: &Claims) -> Result<Value, ValueError> {
    let own = Value::map(
        claims
            .extra
            .iter()
            .map(|(name, value)| Ok((name.as_str(), Value::from_json(value)?)))
            .collect::<Result<Vec<_>, ValueError>>()?,
    )?;
    Value::map([
        ("issuer", claims.issuer.as_str().into()),
        ("subject", claims.subject.as_str().into()),
        ("claims", own),
    ])
}
