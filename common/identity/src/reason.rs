//! The stable codes under which a request is refused.
//! Not here: the status each program answers with; its one error map says that.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::IdentityError;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $advice:literal;)*) => {
        /// Why a request was refused: stable, machine-readable, safe to show to the caller.
        ///
        /// A code says what kind of thing failed, never which value was expected.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReasonCode {
            $(#[doc = concat!("`", $text, "`: ", $advice)] $(#[$doc])* $name,)*
        }

        impl ReasonCode {
            /// All codes, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is sent and recorded.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What it means and what to do next, in one sentence for people.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

reasons! {
    ActorChainTooLong = "actor_chain_too_long", "the token has passed through as many actors as it may; call with an earlier one";
    ActorLoop = "actor_loop", "this actor already acts in the token; call with the token it had before";
    ActorNotAllowed = "actor_not_allowed", "the subject token does not allow this actor; let its `may_act` name the actor, or exchange as an actor that it names";
    AlgNotAllowed = "alg_not_allowed", "the token's algorithm is not the one of its key; use a key and algorithm that the issuer publishes";
    AssertionMalformed = "assertion_malformed", "the client assertion is not a well-formed JWT; check how it was made";
    AssertionRejected = "assertion_rejected", "the client assertion failed verification; check its issuer, audience, key and times";
    AuthorizationHeader = "authorization_header", "clients do not authenticate by the Authorization header here; send the evidence as client_assertion in the form";
    BadSignature = "bad_signature", "the signature does not verify; the token was altered or signed by another key";
    BindingMismatch = "binding_mismatch", "the token is bound to another key than the one that made the proof; prove the key that it was issued to";
    Busy = "busy", "too many requests are under way; try again after the time in Retry-After";
    ClaimUndetermined = "claim_undetermined", "a claim of the resource could not be determined; the operator has to mend the mapping";
    ConditionError = "condition_error", "a condition of the configuration could not be evaluated; the operator has to mend it";
    Denied = "denied", "a policy does not allow it; ask the operator to run `symbolon explain` with the decision id";
    EvidenceExpiring = "evidence_expiring", "the evidence ends too soon for a useful token; renew the evidence first";
    EvidenceKeyMismatch = "evidence_key_mismatch", "this evidence was first presented with another key; use that key or fresh evidence";
    EvidenceMissing = "evidence_missing", "no evidence was presented; send a client assertion or use the attestation socket";
    EvidenceReplayed = "evidence_replayed", "this evidence was already used; make a fresh one for each request";
    Expired = "expired", "the token has expired; get a new one";
    GroupUndetermined = "group_undetermined", "membership in a group could not be determined; the operator has to mend the mapping";
    Inactive = "inactive", "the issuer says that the token is not active; get a new one from it";
    InsufficientScope = "insufficient_scope", "the token lacks a scope that this route asks for; request it from the broker";
    InvalidScope = "invalid_scope", "the resource does not offer a requested scope; request one that it offers";
    InvalidTarget = "invalid_target", "the requested resource is unknown or missing; name one by `resource` or `audience`";
    IssuerUnavailable = "issuer_unavailable", "the issuer cannot be reached; try again after the time in Retry-After";
    JwksUnavailable = "jwks_unavailable", "the issuer's keys could not be had yet; try again after the time in Retry-After";
    LifetimeTooLong = "lifetime_too_long", "the token lives longer than this issuer's tokens may; request one with a shorter life";
    Malformed = "malformed", "the credential is not a well-formed token; check how it was copied or made";
    MalformedRequest = "malformed_request", "the request is not well formed; check its headers and parameters";
    MappingFailed = "mapping_failed", "the evidence does not map to a workload; an attribute is missing or has a forbidden character";
    MultipleTokens = "multiple_tokens", "more than one credential was sent; send exactly one";
    NonceRequired = "nonce_required", "the proof lacks the nonce; repeat it with the nonce of the answer";
    NotYetValid = "not_yet_valid", "the token is not valid yet; check the clocks";
    OriginNotAllowed = "origin_not_allowed", "requests from this web origin are not accepted; call from a program and not from a web page";
    PathNotCanonical = "path_not_canonical", "the path can be read in two ways; send it in its plain form";
    PlatformUnavailable = "platform_unavailable", "the platform that vouches for the evidence cannot be asked; try again after the time in Retry-After";
    PodGone = "pod_gone", "the pod of the service account token has ended or is another now; use the token of a pod that lives";
    PodUnbound = "pod_unbound", "the service account token is not bound to a pod; use a projected token of the pod";
    ProofExpired = "proof_expired", "the proof is too old or from the future; make one for each request and check the clock";
    ProofInvalid = "proof_invalid", "the proof does not fit this request; make one for exactly this method, address and token";
    ProofMissing = "proof_missing", "a proof of possession is required; send a DPoP header";
    ProofReplayed = "proof_replayed", "this proof was already used; make one for each request";
    ProviderAmbiguous = "provider_ambiguous", "several trust providers fit; name one by `trust_provider`";
    RateLimited = "rate_limited", "too many requests; try again after the time in Retry-After";
    ReplayUnavailable = "replay_unavailable", "replays cannot be told at the moment; try again after the time in Retry-After";
    ReviewRejected = "review_rejected", "the cluster does not confirm the service account token; use the token that the kubelet wrote last";
    Revoked = "revoked", "the token was revoked; get a new one";
    RevocationStale = "revocation_stale", "revocations are not known at the moment; try again after the time in Retry-After";
    RouteNotFound = "route_not_found", "no route answers to this host, path and method; check the address, or ask the operator for a route";
    ScopeExceedsSubject = "scope_exceeds_subject", "for the same resource an exchange can only narrow; request scopes that the subject token has";
    StoreUnavailable = "store_unavailable", "the broker's store does not answer; try again after the time in Retry-After";
    StreamUnknown = "stream_unknown", "no open stream of this caller has this id; open the stream anew";
    SubjectNotAddressed = "subject_not_addressed", "the token is addressed to somebody else; only the broker's own or who operates its audience may present it";
    TokenMissing = "token_missing", "no credential was sent; send one in the Authorization header";
    TokenUnavailable = "token_unavailable", "no token could be had from the broker; try again after the time in Retry-After";
    TooLarge = "too_large", "the request is larger than the limit; send a smaller one";
    UnauthorizedClient = "unauthorized_client", "this client may not use this grant; ask the operator to allow it";
    Undetermined = "undetermined", "a policy could not be evaluated; the operator has to mend it";
    UnknownClient = "unknown_client", "no trust provider and no registered client fits this evidence; check its issuer and audience, or ask the operator to register it";
    UnknownIssuer = "unknown_issuer", "tokens of this issuer are not accepted here; get one from an issuer that is";
    UnknownKid = "unknown_kid", "the issuer does not publish a key with this id; get a new token, or publish the key before it signs";
    UnsupportedAssertionType = "unsupported_assertion_type", "this client assertion type is not supported; use one that the broker's metadata names";
    UnsupportedGrantType = "unsupported_grant_type", "this grant type is not supported; use one that the broker's metadata names";
    UnsupportedTokenType = "unsupported_token_type", "tokens of this type are not taken or made here; use access tokens or JWTs";
    UpgradeNotAllowed = "upgrade_not_allowed", "protocol upgrades are not allowed here; ask without the Upgrade header";
    UpstreamTimeout = "upstream_timeout", "the API behind did not answer in time; try again, and tell its operator if it goes on";
    UpstreamUnavailable = "upstream_unavailable", "the API behind cannot be reached; try again, and tell its operator if it goes on";
    WrongAudience = "wrong_audience", "the token is for another resource; request one for this resource";
    WrongType = "wrong_type", "the token is of another kind than this route accepts; send an access token";
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReasonCode {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        known.ok_or_else(|| IdentityError::form("reason code", text, "it is one of the documented codes"))
    }
}

impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ReasonCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_come_back_from_their_text() {
        let mut seen = std::collections::BTreeSet::new();
        for code in ReasonCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert_eq!(code.as_str().parse::<ReasonCode>().unwrap(), *code);
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            assert!(code.advice().contains("; "), "{code}: a meaning and a next step");
            assert!(!code.advice().contains(['"', '\\']), "{code}: RFC 6749 §5.2 forbids these characters");
        }
    }
}
