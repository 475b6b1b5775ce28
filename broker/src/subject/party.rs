//! A subject or an actor, verified, in our own words.
//! Not here: verifying.

use std::collections::BTreeMap;
use std::sync::Arc;

use symbolon_identity::{Audience, TokenId};
use symbolon_jws::{CryptoError, base64url, sha256};
use symbolon_token::{Actor, Claims, Issuer, Subject, TokenHash, VerifiedToken};

use crate::refusal::{Party, Refusal};
use crate::resources::{Resource, Resources};

/// A token that was presented and verified.
#[derive(Debug)]
pub(super) struct VerifiedParty {
    pub(super) party: Party,
    /// Who, as our tokens name it.
    pub(super) id: Subject,
    /// Its issuer, if it is not us.
    pub(super) issuer: Option<Issuer>,
    /// The claims of its token.
    pub(super) claims: Claims,
    /// Claims as policies see them.
    pub(super) tags: BTreeMap<String, String>,
    /// The root of what is derived from it.
    pub(super) lineage: TokenId,
    /// The resources that the token is addressed to; none if it is addressed to us.
    pub(super) addressed_to: Option<Vec<Arc<Resource>>>,
}

impl VerifiedParty {
    /// A token of our own.
    ///
    /// # Errors
    /// As [`lineage`].
    pub(super) fn own(party: Party, token: &VerifiedToken, resources: &Resources) -> Result<Self, Refusal> {
        let claims = token.claims().clone();
        // Our own mappings made them of attested facts when the token was issued: facts about the client, which are
        // facts about the subject only if it asked for itself.
        let is_own = claims.actor.is_none()
            && claims.client_id.as_ref().is_some_and(|client| client.as_str() == claims.subject.as_str());
        let tags = claims
            .extra
            .iter()
            .filter(|_| is_own)
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Ok(Self {
            party,
            id: claims.subject.clone(),
            issuer: None,
            tags: tags.collect(),
            lineage: lineage(&claims, token.hash(), None)?,
            addressed_to: addressed_to(&claims.audiences, resources.ourselves(), resources),
            claims,
        })
    }

    /// The actors that the token names. Whatever another issuer says of them, they are that issuer's in our tokens: it
    /// vouches for nobody of ours.
    pub(super) fn actors(&self) -> Option<Actor> {
        let actor = self.claims.actor.clone()?;
        Some(match &self.issuer {
            None => actor,
            Some(issuer) => of_issuer(actor, issuer),
        })
    }
}

fn of_issuer(actor: Actor, issuer: &Issuer) -> Actor {
    Actor {
        subject: actor.subject,
        issuer: Some(issuer.clone()),
        earlier: actor.earlier.map(|earlier| Box::new(of_issuer(*earlier, issuer))),
    }
}

/// The token at the root of the chain; a foreign one under its issuer's name, so that two issuers' ids do not meet. One
/// without an id is named by the hash of its content, which is the same whatever becomes of its signature.
pub(super) fn lineage(
    claims: &Claims,
    hash: TokenHash,
    issuer_name: Option<&str>,
) -> Result<TokenId, Refusal> {
    let known = match issuer_name {
        None => claims.lineage.clone().or_else(|| claims.token_id.clone()),
        Some(name) => claims.token_id.as_ref().map(|id| of_issuer_id(name, id)).transpose()?,
    };
    known.map_or_else(|| hashed(hash.as_bytes()), Ok)
}

/// An id of another issuer; one that is too long with the issuer's name before it, by its hash.
fn of_issuer_id(name: &str, id: &TokenId) -> Result<TokenId, Refusal> {
    let named = format!("{name}:{id}");
    TokenId::parse(&named).or_else(|_| hashed(&sha256(named.as_bytes())))
}

fn hashed(hash: &[u8; 32]) -> Result<TokenId, Refusal> {
    // INVARIANT: base64url is printable ASCII of moderate length, which is all that a token id asks for.
    Ok(TokenId::parse(&base64url::encode(hash)).map_err(|_| CryptoError)?)
}

/// The resources that a token is addressed to, unless it is addressed to us.
pub(super) fn addressed_to(
    audiences: &[Audience],
    ourselves: &[Audience],
    resources: &Resources,
) -> Option<Vec<Arc<Resource>>> {
    if audiences.iter().any(|audience| ourselves.contains(audience)) {
        return None;
    }
    Some(audiences.iter().filter_map(|audience| resources.of_audience(audience)).collect())
}
