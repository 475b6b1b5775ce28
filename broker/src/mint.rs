//! From a grant to a signed token (RFC 9068): one grant, one token.
//! Not here: whether it may be issued; a [`Grant`] is the proof that it may.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_identity::{IssuerUrl, Scopes, Timestamp, TokenId};
use symbolon_jws::{Thumbprint, base64url, random_bytes};
use symbolon_policies::PolicyId;
use symbolon_token::{Actor, Claims, Confirmation, ExtraClaims, SignedToken, TokenType, sign};

use crate::claims::ClaimMapping;
use crate::config::ExchangeMode;
use crate::grants::TokenKind;
use crate::inquiry::Caller;
use crate::keys::SigningRing;
use crate::policies::Permit;
use crate::refusal::Refusal;
use crate::subject::VerifiedSubject;

/// A token that evidence limits to less is not worth its trouble: the caller has to renew its evidence.
const LEAST: Duration = Duration::from_secs(30);

/// Makes tokens.
#[derive(Debug)]
pub(crate) struct Mint {
    issuer: IssuerUrl,
    keys: Arc<SigningRing>,
}

/// All that one token needs, each part taken by value.
#[derive(Debug)]
pub(crate) struct Grant {
    permit: Permit,
    caller: Caller,
    subject: VerifiedSubject,
    wanted: Option<TokenKind>,
}

/// A token that was made and is not on record yet.
#[derive(Debug)]
pub(crate) struct Minted {
    /// The token.
    pub(crate) token: SignedToken,
    /// Its life from now on.
    pub(crate) lifetime: Duration,
    /// Whether it is bound to a key.
    pub(crate) is_bound: bool,
    /// Its scopes.
    pub(crate) scopes: Scopes,
    /// What kind of token it is, after an exchange.
    pub(crate) kind: Option<TokenKind>,
    /// The policies that permitted it.
    pub(crate) policies: Vec<PolicyId>,
    /// What the record says about it.
    pub(crate) note: TokenNote,
}

/// What a record says about an issued token: never the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenNote {
    /// Its `jti`.
    pub(crate) id: TokenId,
    /// Its `exp`.
    pub(crate) expires_at: Timestamp,
    /// What set its end.
    pub(crate) bounded_by: Bound,
    /// The claims that its resources added.
    #[serde(default, skip_serializing_if = "ExtraClaims::is_empty")]
    pub(crate) claims: ExtraClaims,
    /// The key that signed it; none in records from before keys were noted.
    #[serde(default)]
    pub(crate) key: Option<Thumbprint>,
}

/// What sets the end of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// The resource's `token_ttl`.
    Resource,
    /// A policy's `@ttl`.
    Policy,
    /// The end of the evidence.
    Evidence,
    /// The end of a token that was exchanged.
    Subject,
}

impl Bound {
    /// The word in records.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Policy => "policy",
            Self::Evidence => "evidence",
            Self::Subject => "subject",
        }
    }
}

impl Grant {
    /// Binds together what was proven.
    pub(crate) fn bind(
        permit: Permit,
        caller: Caller,
        subject: VerifiedSubject,
        wanted: Option<TokenKind>,
    ) -> Self {
        Self { permit, caller, subject, wanted }
    }

    /// The earliest end among all that limits it.
    fn end(&self, now: Timestamp) -> Result<(Timestamp, Bound), Refusal> {
        let shortest = self.permit.resources().iter().map(|resource| resource.ttl).min().unwrap_or_default();
        let mut end = (now.saturating_add(shortest), Bound::Resource);
        if let Some(ceiling) = self.permit.ceiling() {
            end = earlier(end, (now.saturating_add(ceiling), Bound::Policy));
        }
        if let Some(not_after) = self.caller.attested.not_after() {
            if not_after.saturating_since(now) < LEAST {
                return Err(Refusal::EvidenceExpiring { least: LEAST });
            }
            end = earlier(end, (not_after, Bound::Evidence));
        }
        if let Some(passed_on) = self.subject.passed_on() {
            end = earlier(end, (passed_on.expires_at, Bound::Subject));
        }
        Ok(end)
    }

    /// The actors that the token names; policy may allow fewer than we do.
    fn actors(&self) -> Result<Option<Actor>, Refusal> {
        let Some(passed_on) = self.subject.passed_on() else { return Ok(None) };
        let delegates =
            self.permit.resources().iter().all(|resource| resource.exchange == ExchangeMode::Delegate);
        let chain = if delegates { &passed_on.chain } else { &passed_on.earlier };
        let depth = chain.as_ref().map_or(0, |chain| chain.chain().count());
        let limit = self.permit.max_actors().and_then(|most| usize::try_from(most).ok());
        match limit {
            Some(limit) if depth > limit => Err(Refusal::TooManyActors { depth, limit }),
            _ => Ok(chain.clone()),
        }
    }
}

fn earlier(one: (Timestamp, Bound), other: (Timestamp, Bound)) -> (Timestamp, Bound) {
    if other.0 < one.0 { other } else { one }
}

impl Mint {
    /// A mint that signs with these keys as this issuer.
    pub(crate) fn new(issuer: IssuerUrl, keys: Arc<SigningRing>) -> Self {
        Self { issuer, keys }
    }

    /// Makes the one token of a grant.
    ///
    /// # Errors
    /// [`Refusal`] if the evidence ends too soon, or we cannot sign.
    pub(crate) fn issue(&self, grant: Grant, now: Timestamp) -> Result<Minted, Refusal> {
        let (expires_at, bounded_by) = grant.end(now)?;
        let actor = grant.actors()?;
        let Grant { permit, caller, subject, wanted } = grant;
        let id = base64url::encode(random_bytes::<16>()?);
        // INVARIANT: base64url is printable ASCII, which is all that a token id asks for.
        let id = TokenId::parse(&id).map_err(|_| symbolon_jws::CryptoError)?;
        let mappings = permit.resources().iter().map(|resource| &resource.claims);
        let extra = ClaimMapping::together(mappings, &caller.attested)?;
        let key = caller.key.as_ref().map(crate::proofs::ProvedKey::thumbprint);
        let audiences = permit.resources().iter().map(|resource| resource.audience.clone());
        let (subject, passed_on) = subject.into_parts();
        let claims = Claims {
            audiences: audiences.collect(),
            client_id: Some(caller.attested.client_id().clone()),
            issued_at: Some(now),
            not_before: Some(now),
            token_id: Some(id.clone()),
            scopes: permit.scopes().clone(),
            confirmation: key.map(Confirmation::to_key),
            actor,
            lineage: passed_on.map(|passed_on| passed_on.lineage),
            issuer: (&self.issuer).into(),
            subject,
            expires_at,
            extra: extra.clone(),
        };
        let algorithm = permit.algorithm();
        let signer = self.keys.signer(algorithm).ok_or(Refusal::NoSigningKey(algorithm))?;
        let token = sign(&claims, TokenType::AccessToken, &signer).map_err(Refusal::Signing)?;
        Ok(Minted {
            token,
            lifetime: expires_at.saturating_since(now),
            is_bound: key.is_some(),
            scopes: permit.scopes().clone(),
            kind: wanted,
            policies: permit.policies().to_vec(),
            note: TokenNote { id, expires_at, bounded_by, key: Some(signer.thumbprint()), claims: extra },
        })
    }
}
