//! From a grant to a signed token (RFC 9068): one grant, one token.
//! Not here: whether it may be issued; a [`Grant`] is the proof that it may.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_identity::{IssuerUrl, Scopes, Timestamp, TokenId};
use symbolon_jws::{Thumbprint, base64url, random_bytes};
use symbolon_policies::PolicyId;
use symbolon_token::{Claims, Confirmation, SignedToken, TokenType, sign};

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
}

impl Bound {
    /// The word in records.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Policy => "policy",
            Self::Evidence => "evidence",
        }
    }
}

impl Grant {
    /// Binds together what was proven.
    pub(crate) fn bind(permit: Permit, caller: Caller, subject: VerifiedSubject) -> Self {
        Self { permit, caller, subject }
    }

    /// The earliest end among all that limits it.
    fn end(&self, now: Timestamp) -> Result<(Timestamp, Bound), Refusal> {
        let mut end = (now.saturating_add(self.permit.resource().ttl), Bound::Resource);
        if let Some(ceiling) = self.permit.ceiling() {
            end = earlier(end, (now.saturating_add(ceiling), Bound::Policy));
        }
        if let Some(not_after) = self.caller.attested.not_after() {
            if not_after.saturating_since(now) < LEAST {
                return Err(Refusal::EvidenceExpiring { least: LEAST });
            }
            end = earlier(end, (not_after, Bound::Evidence));
        }
        Ok(end)
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
        let Grant { permit, caller, subject } = grant;
        let id = base64url::encode(random_bytes::<16>()?);
        // INVARIANT: base64url is printable ASCII, which is all that a token id asks for.
        let id = TokenId::parse(&id).map_err(|_| symbolon_jws::CryptoError)?;
        let key = caller.key.as_ref().map(crate::proofs::ProvedKey::thumbprint);
        let audience = permit.resource().audience.clone();
        let claims = Claims {
            client_id: Some(caller.attested.client_id().clone()),
            issued_at: Some(now),
            not_before: Some(now),
            token_id: Some(id.clone()),
            scopes: permit.scopes().clone(),
            confirmation: key.map(Confirmation::to_key),
            ..Claims::new((&self.issuer).into(), subject.as_claim().clone(), audience, expires_at)
        };
        let algorithm = permit.resource().algorithm;
        let signer = self.keys.signer(algorithm).ok_or(Refusal::NoSigningKey(algorithm))?;
        let token = sign(&claims, TokenType::AccessToken, &signer).map_err(Refusal::Signing)?;
        Ok(Minted {
            token,
            lifetime: expires_at.saturating_since(now),
            is_bound: key.is_some(),
            scopes: permit.scopes().clone(),
            policies: permit.policies().to_vec(),
            note: TokenNote { id, expires_at, bounded_by, key: Some(signer.thumbprint()) },
        })
    }
}
