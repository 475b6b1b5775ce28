//! Revocations: what the issuer takes back before it expires, and which tokens that hits.
//! Not here: how a verifier hears of them, or how the issuer remembers them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use symbolon_identity::Timestamp;

use crate::VerifiedToken;

/// What a revocation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationKind {
    /// One token, by its `jti`.
    Jti,
    /// A token and all that were derived from it, by the `jti` at the root.
    Lineage,
    /// A workload, wherever it stands in a token: as subject, client or actor.
    Workload,
    /// A key that tokens are bound to, by its thumbprint.
    Jkt,
    /// A `sub`.
    Subject,
    /// A `client_id`.
    Client,
    /// A signing key of the issuer, by its `kid`.
    Kid,
}

impl RevocationKind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Jti, Self::Lineage, Self::Workload, Self::Jkt, Self::Subject, Self::Client, Self::Kid];

    /// The word on the wire and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jti => "jti",
            Self::Lineage => "lineage",
            Self::Workload => "workload",
            Self::Jkt => "jkt",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Kid => "kid",
        }
    }
}

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// What `value` names.
    pub kind: RevocationKind,
    /// The name.
    pub value: String,
    /// Tokens issued up to this second are revoked.
    pub revoked_before: Timestamp,
    /// From this second on the revocation counts no longer: nothing that it hits lives so long.
    pub until: Timestamp,
}

/// The revocations that a verifier knows, by what they name.
///
/// Of two revocations of one thing the later one counts, so that one can also be lifted.
#[derive(Debug, Clone, Default)]
pub struct RevocationSet {
    by_name: HashMap<RevocationKind, HashMap<String, Span>>,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    revoked_before: Timestamp,
    until: Timestamp,
}

impl RevocationSet {
    /// Adds a revocation, in place of an earlier one of the same thing.
    pub fn add(&mut self, revocation: Revocation) {
        let Revocation { kind, value, revoked_before, until } = revocation;
        let of_kind = self.by_name.entry(kind).or_default();
        if of_kind.insert(value, Span { revoked_before, until }).is_none() {
            self.len = self.len.saturating_add(1);
        }
    }

    /// Forgets what counts no longer.
    pub fn prune(&mut self, now: Timestamp) {
        for of_kind in self.by_name.values_mut() {
            of_kind.retain(|_, span| span.until > now);
        }
        self.len = self.by_name.values().map(HashMap::len).sum();
    }

    /// The number of things that are revoked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a token is revoked: by itself, its lineage, one of the parties it names, its key, or the key that
    /// signed it.
    #[must_use]
    pub fn hits(&self, token: &VerifiedToken, now: Timestamp) -> bool {
        // Almost always; then a request costs no look-up.
        if self.is_empty() {
            return false;
        }
        let claims = token.claims();
        // A token that does not say when it was issued is older than any revocation.
        let issued_at = claims.issued_at.unwrap_or_default();
        let named = |kind, name: &str| self.names(kind, name, issued_at, now);
        let id = claims.token_id.as_ref().map(symbolon_identity::TokenId::as_str);
        let root = claims.lineage.as_ref().map(symbolon_identity::TokenId::as_str);
        let client = claims.client_id.as_ref().map(symbolon_identity::ClientId::as_str);
        let subject = claims.subject.as_str();
        let is_workload = |name: &str| named(RevocationKind::Workload, name);
        let mut actors = claims.actor.iter().flat_map(crate::Actor::chain);
        id.is_some_and(|id| named(RevocationKind::Jti, id))
            || id.into_iter().chain(root).any(|id| named(RevocationKind::Lineage, id))
            || named(RevocationKind::Subject, subject)
            || is_workload(subject)
            || client.is_some_and(|client| named(RevocationKind::Client, client) || is_workload(client))
            || actors.any(|actor| is_workload(actor.subject.as_str()))
            || self.hits_a_key(token, issued_at, now)
    }

    /// Whether this very thing is revoked now, whenever a token was issued.
    #[must_use]
    pub fn stands(&self, kind: RevocationKind, value: &str, now: Timestamp) -> bool {
        let span = self.by_name.get(&kind).and_then(|of_kind| of_kind.get(value));
        span.is_some_and(|span| now < span.until)
    }

    fn hits_a_key(&self, token: &VerifiedToken, issued_at: Timestamp, now: Timestamp) -> bool {
        let bound = token.claims().confirmation.and_then(|confirmation| confirmation.jkt);
        let knows = |kind| self.by_name.get(&kind).is_some_and(|of_kind| !of_kind.is_empty());
        (knows(RevocationKind::Jkt)
            && bound.is_some_and(|key| self.names(RevocationKind::Jkt, &key.to_string(), issued_at, now)))
            || (knows(RevocationKind::Kid)
                && self.names(RevocationKind::Kid, &token.key_thumbprint().to_string(), issued_at, now))
    }

    fn names(&self, kind: RevocationKind, name: &str, issued_at: Timestamp, now: Timestamp) -> bool {
        let span = self.by_name.get(&kind).and_then(|of_kind| of_kind.get(name));
        span.is_some_and(|span| issued_at <= span.revoked_before && now < span.until)
    }
}

#[cfg(test)]
mod tests;
