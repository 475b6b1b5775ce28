//! `verify`: exactly one token, of a trusted issuer, for this resource, presented by who holds its key.
//! Not here: keys and signatures (`symbolon-issuers`, `symbolon-token`), proofs (`symbolon-proof`).

mod rule;

use std::sync::Arc;

use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_issuers::{IssuerError, Issuers};
use symbolon_proof::{CheckedProof, ProofExpectation, ReplayWindow};
use symbolon_token::{AudienceRule, TokenHash, UnverifiedToken};

use crate::cache::TokenCache;
use crate::caller::VerifiedCaller;
use crate::config::{Binding, Origin};
use crate::credentials::{Credentials, Scheme};
use crate::rejection::Rejection;
use crate::request::RequestView;
use crate::revocations::Feeds;

pub use rule::{TrustedIssuer, VerifyRule};

/// What the stage needs beside the request.
#[derive(Debug)]
pub struct Verifier {
    issuers: Arc<Issuers>,
    tokens: Arc<TokenCache>,
    replay: Arc<ReplayWindow>,
    origins: Arc<[Origin]>,
    feeds: Arc<Feeds>,
}

/// One presentation of a token.
#[derive(Debug)]
pub struct Presented<'a> {
    /// The token and its proof.
    pub credentials: Credentials<'a>,
    /// The request that they came with.
    pub request: &'a RequestView<'a>,
    /// When.
    pub now: Timestamp,
    /// Whether an earlier stage has used up the proof: each proof counts once a request, not once a stage.
    pub used: bool,
}

/// A caller that passed.
#[derive(Debug)]
pub struct Passed {
    /// The caller.
    pub caller: Arc<VerifiedCaller>,
    /// Whether the token's signature was verified just now, rather than before.
    pub fresh: bool,
}

impl Verifier {
    /// A verifier. The cache may have served other issuers before.
    #[must_use]
    pub fn new(
        issuers: Arc<Issuers>,
        tokens: Arc<TokenCache>,
        replay: Arc<ReplayWindow>,
        origins: Arc<[Origin]>,
    ) -> Self {
        Self { issuers, tokens, replay, origins, feeds: Arc::default() }
    }

    /// The same, refusing what these feeds revoke.
    #[must_use]
    pub fn with_feeds(mut self, feeds: Arc<Feeds>) -> Self {
        self.feeds = feeds;
        self
    }

    /// Verifies the presented credentials against the rule of a route.
    ///
    /// # Errors
    /// [`Rejection`] with the first thing that does not fit; with the caller, once the token itself was verified.
    pub async fn pass(&self, rule: &VerifyRule, presented: &Presented<'_>) -> Result<Passed, Rejection> {
        let Presented { credentials, now, .. } = presented;
        let hash = TokenHash::of(credentials.token);
        let (caller, fresh) = match self.known(&hash, *now) {
            Some(caller) => (caller, false),
            // Boxed: the cold path must not make the future of every request large.
            None => (Box::pin(self.verify(rule, credentials.token, *now)).await?, true),
        };
        let checks = Checks { rule, presented };
        match self.check(&checks, &caller) {
            Ok(()) => Ok(Passed { caller, fresh }),
            Err(Unfit { rejection, is_proven: true }) => Err(rejection.of(&caller)),
            Err(Unfit { rejection, is_proven: false }) => Err(rejection.naming(&caller)),
        }
    }

    /// A caller whose token was verified before, by an issuer that is still the same and still publishes its key.
    fn known(&self, hash: &TokenHash, now: Timestamp) -> Option<Arc<VerifiedCaller>> {
        let caller = self.tokens.find(hash)?;
        // SECURITY: the cache outlives a reload, and an issuer with other settings may not vouch for this token.
        let same =
            self.issuers.get(caller.issuer_name()).is_some_and(|now| Arc::ptr_eq(now, caller.issuer()));
        if same && caller.issuer().holds(&caller.token().key_thumbprint(), now) {
            return Some(caller);
        }
        self.tokens.forget(hash);
        None
    }

    /// Verifies a token against the issuer that it names, if the route trusts that one.
    async fn verify(
        &self,
        rule: &VerifyRule,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<VerifiedCaller>, Rejection> {
        let token = UnverifiedToken::parse(token)
            .map_err(|error| Rejection::new(error.reason_code()).because(error.to_string()))?;
        let hint = token.issuer_hint();
        let trusted = rule.issuers.iter().find(|trusted| Some(trusted.url.as_str()) == hint);
        let (Some(trusted), Some(issuer)) =
            (trusted, trusted.and_then(|trusted| self.issuers.get(&trusted.name)))
        else {
            return Err(
                Rejection::new(ReasonCode::UnknownIssuer).compared(names(rule), "another (unverified)")
            );
        };
        // All audiences of the issuer count here, so that what is kept holds for each of its routes; the route's own
        // resource is checked below, found in the cache or not.
        let audience = AudienceRule::ContainsAny(&trusted.audiences);
        let verified = issuer.verify(&token, audience, now).await.map_err(|error| rejection(&error))?;
        let caller =
            Arc::new(VerifiedCaller::new(verified, Arc::clone(issuer), trusted.trust_domain.clone())?);
        self.tokens.keep(token.hash(), Arc::clone(&caller));
        Ok(caller)
    }

    /// What is checked on every request, found in the cache or not.
    ///
    /// SECURITY: until possession was proved, whoever sends a bound token is a stranger. So is whoever repeats a proof: it
    /// was copied with the token.
    fn check(&self, checks: &Checks<'_>, caller: &VerifiedCaller) -> Result<(), Unfit> {
        let is_bound = caller.token().claims().confirmation.is_some();
        let unfit = |is_proven: bool| move |rejection: Rejection| Unfit { rejection, is_proven };
        let trusted = self.check_token(checks, caller).map_err(unfit(!is_bound))?;
        let proof = self.check_possession(checks, trusted, caller).map_err(unfit(false))?;
        self.check_right(checks, caller).map_err(unfit(true))?;
        // Last, so that only a request that would go on takes a place in the window.
        let Some(proof) = proof.filter(|_| !checks.presented.used) else { return Ok(()) };
        let admitted = self.replay.admit(&proof, checks.presented.now);
        let admitted =
            admitted.map_err(|error| Rejection::new(error.reason_code()).because(error.to_string()));
        admitted.map_err(unfit(false))
    }

    /// What the token itself says: that it is in time, and for this route.
    fn check_token<'a>(
        &self,
        checks: &Checks<'a>,
        caller: &VerifiedCaller,
    ) -> Result<&'a TrustedIssuer, Rejection> {
        let claims = caller.token().claims();
        if let Err(error) = caller.token().check_time(checks.presented.now) {
            self.tokens.forget(&caller.token().hash());
            let rejection = Rejection::new(error.reason_code()).because(error.to_string());
            return Err(rejection
                .compared(format!("a time that contains {}", checks.presented.now), error.to_string()));
        }
        let rule = checks.rule;
        let Some(trusted) = rule.issuers.iter().find(|trusted| trusted.name == *caller.issuer_name()) else {
            return Err(Rejection::new(ReasonCode::UnknownIssuer)
                .compared(names(rule), caller.issuer_name().as_str()));
        };
        if !claims.audiences.contains(&rule.resource) {
            let actual: Vec<_> = claims.audiences.iter().map(AsRef::as_ref).collect();
            return Err(
                Rejection::new(ReasonCode::WrongAudience).compared(rule.resource.as_str(), actual.join(" "))
            );
        }
        Ok(trusted)
    }

    /// That it was not taken back, and is wide enough.
    fn check_right(&self, checks: &Checks<'_>, caller: &VerifiedCaller) -> Result<(), Rejection> {
        // On every request, found in the cache or not: a token is revoked after it was verified.
        if let Some(feed) = self.feeds.of(caller.issuer_name()) {
            feed.check(caller.token(), checks.presented.now).map_err(Rejection::new)?;
        }
        let (wanted, granted) = (&checks.rule.scopes, &caller.token().claims().scopes);
        if !wanted.is_subset_of(granted) {
            let rejection = Rejection::new(ReasonCode::InsufficientScope);
            return Err(rejection.compared(wanted.as_str(), granted.as_str()));
        }
        Ok(())
    }

    /// A bound token needs its proof by the `DPoP` scheme, an unbound one must be allowed (RFC 9449 §7.1, §7.2).
    fn check_possession(
        &self,
        checks: &Checks<'_>,
        trusted: &TrustedIssuer,
        caller: &VerifiedCaller,
    ) -> Result<Option<CheckedProof>, Rejection> {
        let Some(confirmation) = &caller.token().claims().confirmation else {
            return match (trusted.binding, checks.presented.credentials.scheme) {
                (Binding::WhenBound, Scheme::Bearer) => Ok(None),
                (Binding::WhenBound, Scheme::Dpop) => {
                    Err(mismatch("the scheme is DPoP and the token is not bound to a key"))
                }
                (Binding::Required, Scheme::Bearer | Scheme::Dpop) => {
                    Err(mismatch("this issuer's tokens must be bound to a key and this one is not"))
                }
            };
        };
        let proof = match (checks.presented.credentials.scheme, checks.presented.credentials.proof) {
            (_, None) => return Err(Rejection::new(ReasonCode::ProofMissing)),
            (Scheme::Bearer, Some(_)) => {
                return Err(mismatch("a bound token was presented as a bearer token"));
            }
            (Scheme::Dpop, Some(proof)) => self.check_proof(checks, proof)?,
        };
        caller.token().check_binding(Some(&proof)).map_err(|error| {
            let expected = confirmation.jkt.map_or_else(|| "a certificate".to_owned(), |jkt| jkt.to_string());
            Rejection::new(error.reason_code())
                .because(error.to_string())
                .compared(expected, proof.thumbprint().to_string())
        })?;
        Ok(Some(proof))
    }

    /// The proof must be for one of our origins and the path that arrived, never for what `Host` says.
    fn check_proof(&self, checks: &Checks<'_>, proof: &str) -> Result<CheckedProof, Rejection> {
        let (method, path) = checks.presented.request.proof_target();
        let targets: Vec<String> =
            self.origins.iter().map(|origin| [origin.as_str(), path].concat()).collect();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let expectation = ProofExpectation {
            method: method.as_str(),
            targets: &targets,
            access_token: Some(checks.presented.credentials.token),
            nonce: None,
        };
        symbolon_proof::check(proof, &expectation, checks.presented.now).map_err(|error| {
            let rejection = Rejection::new(error.reason_code()).because(error.to_string());
            rejection.compared(format!("{} {}", expectation.method, targets.join(" or ")), "another proof")
        })
    }
}

/// One presentation of a token before one rule.
#[derive(Clone, Copy)]
struct Checks<'a> {
    rule: &'a VerifyRule,
    presented: &'a Presented<'a>,
}

/// What does not fit about a presentation, and whether it came from who the token says.
struct Unfit {
    rejection: Rejection,
    is_proven: bool,
}

fn mismatch(why: &'static str) -> Rejection {
    Rejection::new(ReasonCode::BindingMismatch).because(why)
}

fn names(rule: &VerifyRule) -> String {
    let names: Vec<_> = rule.issuers.iter().map(|trusted| trusted.url.as_str()).collect();
    names.join(" or ")
}

/// What an issuer says, with when to come back if it says so.
fn rejection(error: &IssuerError) -> Rejection {
    let rejection = Rejection::new(error.reason_code()).because(error.to_string());
    match error {
        IssuerError::KeysUnavailable { retry_after, .. } => rejection.retry_after(*retry_after),
        IssuerError::UnknownIssuer
        | IssuerError::UnknownKey { .. }
        | IssuerError::AudienceNotTrusted { .. }
        | IssuerError::AlgorithmNotAllowed { .. }
        | IssuerError::Token { .. } => rejection,
    }
}
