//! Who calls: a verified token with the headers that tell the API so, made once for each token.
//! Not here: verifying (`stages/verify.rs`) and keeping (`cache.rs`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::HeaderValue;
use symbolon_cel::Value;
use symbolon_identity::{IssuerName, ReasonCode, RouteName, TrustDomain};
use symbolon_issuers::Issuer;
use symbolon_policies::{Principal, TokenFacts};
use symbolon_token::{Actor, VerifiedToken};

use crate::rejection::Rejection;
use crate::stages::when::token_facts;

/// A token that its issuer vouches for.
#[derive(Debug)]
pub struct VerifiedCaller {
    token: VerifiedToken,
    issuer: Arc<Issuer>,
    headers: IdentityHeaders,
    /// The routes that it was let through on.
    admitted: Mutex<BTreeSet<RouteName>>,
    /// The routes on which a stream went on with it.
    renewed: Mutex<BTreeSet<RouteName>>,
    trust_domain: Option<TrustDomain>,
    facts: OnceLock<Option<Arc<Value>>>,
    asker: OnceLock<Asker>,
}

/// The caller as policies see it.
#[derive(Debug)]
pub(crate) struct Asker {
    /// Who asks.
    pub(crate) principal: Principal,
    /// What the token says.
    pub(crate) token: TokenFacts,
}

/// What the API is told about the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The outermost actor, else the subject.
    pub id: HeaderValue,
    /// The subject.
    pub subject: HeaderValue,
    /// The issuer.
    pub issuer: HeaderValue,
    /// The scopes; absent if there are none.
    pub scope: Option<HeaderValue>,
    /// The chain of actors, outermost first; absent if nobody acts for the subject.
    pub actors: Option<HeaderValue>,
}

impl VerifiedCaller {
    /// The caller of a token that was verified by this issuer, which speaks for this trust domain.
    ///
    /// # Errors
    /// `malformed` if a claim cannot be said in a header without being read differently.
    pub(crate) fn new(
        token: VerifiedToken,
        issuer: Arc<Issuer>,
        trust_domain: Option<TrustDomain>,
    ) -> Result<Self, Rejection> {
        let headers = IdentityHeaders::of(&token)?;
        Ok(Self {
            token,
            issuer,
            headers,
            admitted: Mutex::default(),
            renewed: Mutex::default(),
            trust_domain,
            facts: OnceLock::new(),
            asker: OnceLock::new(),
        })
    }

    /// Whether it is let through on this route for the first time since its token was verified.
    #[must_use]
    pub fn is_first_on(&self, route: &RouteName) -> bool {
        is_first(&self.admitted, route)
    }

    /// Whether a stream of this route goes on with it for the first time since its token was verified.
    #[must_use]
    pub fn is_first_renewal_on(&self, route: &RouteName) -> bool {
        is_first(&self.renewed, route)
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// The issuer that vouches for it.
    #[must_use]
    pub fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    /// The configured name of that issuer.
    #[must_use]
    pub fn issuer_name(&self) -> &IssuerName {
        self.issuer.name()
    }

    /// What the API is told.
    #[must_use]
    pub fn headers(&self) -> &IdentityHeaders {
        &self.headers
    }

    /// What conditions read of the token, made when the first one asks; none if a claim cannot be looked at.
    pub(crate) fn facts(&self) -> Option<&Arc<Value>> {
        self.facts.get_or_init(|| token_facts(&self.token, self.id()).ok().map(Arc::new)).as_ref()
    }

    /// The caller as policies see it, made when the first one asks.
    pub(crate) fn asker(&self) -> &Asker {
        self.asker.get_or_init(|| Asker::of(&self.token, self.issuer_name(), self.trust_domain.as_ref()))
    }

    /// Who calls, in one word: the outermost actor, else the subject.
    #[must_use]
    pub fn id(&self) -> &str {
        let claims = self.token.claims();
        claims.actor.as_ref().map_or(claims.subject.as_str(), |actor| actor.subject.as_str())
    }
}

fn is_first(known: &Mutex<BTreeSet<RouteName>>, route: &RouteName) -> bool {
    // A panic elsewhere costs at most one more record.
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    !known.contains(route) && known.insert(route.clone())
}

impl Asker {
    fn of(token: &VerifiedToken, issuer: &IssuerName, trust_domain: Option<&TrustDomain>) -> Self {
        let claims = token.claims();
        let mut facts = TokenFacts::new(issuer.clone(), claims.subject.as_str());
        facts.client_id = claims.client_id.as_ref().map(ToString::to_string);
        facts.scopes = claims.scopes.clone();
        let actors = claims.actor.iter().flat_map(Actor::chain);
        facts.actors = actors.map(|actor| actor.subject.as_str().to_owned()).collect();
        let plain = claims.extra.iter().filter_map(|(name, value)| Some((name.clone(), tag(value)?)));
        facts.claims = plain.collect();
        Self { principal: Principal::of_token(&facts, trust_domain), token: facts }
    }
}

/// A claim as a tag: texts as they are, bools and whole numbers written out; others have no tag.
fn tag(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Bool(flag) => Some(flag.to_string()),
        serde_json::Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

impl IdentityHeaders {
    fn of(token: &VerifiedToken) -> Result<Self, Rejection> {
        let claims = token.claims();
        let subject = value("sub", claims.subject.as_str())?;
        let actors = claims.actor.as_ref().map(|actor| {
            let mut list = String::new();
            for actor in actor.chain() {
                // A name says nothing without its issuer, and the list has no place for one.
                if actor.issuer.as_ref().is_some_and(|issuer| *issuer != claims.issuer) {
                    return Err(Rejection::new(ReasonCode::Malformed).because("`act` is of another issuer"));
                }
                let name = actor.subject.as_str();
                // In a list, a comma or a space inside a name would make two names of it.
                if name.contains([',', ' ']) {
                    return Err(Rejection::new(ReasonCode::Malformed)
                        .because("a name in `act` has a comma or a space"));
                }
                if !list.is_empty() {
                    list.push_str(", ");
                }
                list.push_str(name);
            }
            value("act", &list)
        });
        Ok(Self {
            id: match &claims.actor {
                Some(actor) => value("act", actor.subject.as_str())?,
                None => subject.clone(),
            },
            subject,
            issuer: value("iss", claims.issuer.as_str())?,
            scope: (!claims.scopes.is_empty()).then(|| value("scope", claims.scopes.as_str())).transpose()?,
            actors: actors.transpose()?,
        })
    }
}

/// A claim as a header value: visible ASCII and inner spaces only, so that no proxy, log or framework on the way can
/// read it differently.
fn value(claim: &'static str, text: &str) -> Result<HeaderValue, Rejection> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let framed = text.starts_with(' ') || text.ends_with(' ');
    let refused = || {
        Rejection::new(ReasonCode::Malformed).because(format!("the claim `{claim}` cannot be a header value"))
    };
    if !visible || framed || text.is_empty() {
        return Err(refused());
    }
    HeaderValue::try_from(text).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_with_a_second_reading_is_no_header() {
        for good in ["spiffe://example.com/k8s/a", "github:repo:org/app", "a b"] {
            assert!(value("sub", good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\r\nX-Workload-Id: root", "a\n", "a\0", "\u{e9}", "a\tb", "a\u{7f}"] {
            assert_eq!(value("sub", bad).unwrap_err().code(), ReasonCode::Malformed, "{bad:?}");
        }
    }
}
