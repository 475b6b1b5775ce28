//! The revocation feed: signed pages of what was revoked after a place, held back until there is something to tell.
//! Not here: who may have a token for it; policies say that (action `issue`, resource `symbolon-status`).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use symbolon_daemon::Clock;
use symbolon_identity::{Audience, IssuerUrl, Scope, Timestamp};
use symbolon_jws::{Algorithm, Thumbprint};
use symbolon_proof::{ProofExpectation, ReplayWindow};
use symbolon_token::{
    AudienceRule, Claims, Revocation, Subject, TokenType, UnverifiedToken, VerifiedToken, sign,
};
use symbolon_wire::{header, status};

use super::error;
use crate::crowd::{Crowd, Place};
use crate::keys::SigningRing;
use crate::limits::Gate;
use crate::own_tokens::{OwnTokenError, OwnTokens};
use crate::proxies::Proxies;
use crate::refusal::Refusal;
use crate::revoke::{Revocations, Standing};

/// The longest that an answer is held back for want of news.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How long a page may be believed; whoever follows the feed gets a newer one in time.
const PAGE_LIFE: Duration = Duration::from_mins(1);
/// So many bytes of names make one page; with their signature they stay well below the limit of a token.
const PAGE_BYTES: usize = 6 * 1024;
/// What pages are signed with; there is always a key of it.
const SIGNED_WITH: Algorithm = Algorithm::Es256;
/// At most so many questions wait for news at once.
const FOLLOWERS: usize = 4096;
/// Of one key, which is one program. It asks one question at a time; a second may overlap while the first is given up.
const OF_ONE_KEY: usize = 4;
/// Of one workload: each of its programs has a key of its own, and one workload must not keep the others out.
const OF_ONE_WORKLOAD: usize = FOLLOWERS / 4;
/// Proofs that are remembered.
const PROOFS: usize = 1 << 16;

/// What the feed needs.
#[derive(Debug)]
pub(crate) struct StatusRoute {
    pub(crate) own: Arc<OwnTokens>,
    pub(crate) keys: Arc<SigningRing>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) proxies: Arc<Proxies>,
    issuer: IssuerUrl,
    audience: Audience,
    scope: Scope,
    replay: ReplayWindow,
    keys_waiting: Crowd<Thumbprint>,
    workloads_waiting: Crowd<String>,
}

/// The parts of a route that are shared with others.
#[derive(Debug)]
pub(crate) struct StatusParts {
    pub(crate) own: Arc<OwnTokens>,
    pub(crate) keys: Arc<SigningRing>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) proxies: Arc<Proxies>,
}

impl StatusRoute {
    /// The feed of this issuer.
    ///
    /// # Errors
    /// [`symbolon_identity::IdentityError`] if its URL is no audience.
    pub(crate) fn new(
        issuer: &IssuerUrl,
        parts: StatusParts,
    ) -> Result<Self, symbolon_identity::IdentityError> {
        let StatusParts { own, keys, revocations, clock, gate, proxies } = parts;
        Ok(Self {
            audience: Audience::parse(&issuer.join(symbolon_wire::paths::STATUS))?,
            scope: Scope::parse(status::SCOPE)?,
            issuer: issuer.clone(),
            replay: ReplayWindow::new(PROOFS),
            keys_waiting: Crowd::new(FOLLOWERS, OF_ONE_KEY),
            workloads_waiting: Crowd::new(FOLLOWERS, OF_ONE_WORKLOAD),
            own,
            keys,
            revocations,
            clock,
            gate,
            proxies,
        })
    }

    async fn answer(&self, request: &Parts) -> Result<Response, Refusal> {
        let connection = super::door::connection(&request.extensions)?;
        // The rate only: who waits for news does not count as work under way.
        let source = self.proxies.source(&connection, &request.headers);
        drop(self.gate.arrive(&connection, source)?);
        let _places = self.follow(&self.admit(request)?)?;
        let query = status::Query::parse(request.uri.query().unwrap_or_default())
            .ok_or(Refusal::Malformed("the query is not `after` and `wait`"))?;
        let wait = Duration::from_secs(query.wait).min(LONGEST_WAIT);
        let mut last = self.revocations.last();
        // Whether news came or not, the answer says what there is.
        let _ = tokio::time::timeout(wait, last.wait_for(|last| *last != query.after)).await;
        let page = self.page(query.after)?;
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/jwt")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        Ok((StatusCode::OK, headers, page).into_response())
    }

    /// Takes a bound token for the feed, with a fresh proof of its key.
    fn admit(&self, request: &Parts) -> Result<VerifiedToken, Refusal> {
        let now = self.now();
        let (text, proof) = credentials(request)?;
        let expectation = ProofExpectation {
            method: "GET",
            targets: &[self.audience.as_str()],
            access_token: Some(text),
            nonce: None,
        };
        let proof = symbolon_proof::check(proof, &expectation, now).map_err(Refusal::Proof)?;
        let token = UnverifiedToken::parse(text).map_err(OwnTokenError::Token)?;
        let token = self.own.verify(&token, AudienceRule::Sole(&self.audience), now)?;
        self.check(&token)?;
        token.check_binding(Some(&proof)).map_err(OwnTokenError::Token)?;
        self.replay
            .admit(&proof, now)
            .map_err(|_| Refusal::Conflict(crate::store::Conflict::ProofReplayed))?;
        Ok(token)
    }

    /// The places of whoever waits with this token.
    fn follow(&self, token: &VerifiedToken) -> Result<(Place<Thumbprint>, Place<String>), Refusal> {
        let claims = token.claims();
        let key =
            claims.confirmation.and_then(|confirmation| confirmation.jkt).ok_or(Refusal::ProofMissing)?;
        let of_key = self.keys_waiting.enter(key).ok_or(Refusal::Busy)?;
        let of_workload = self.workloads_waiting.enter(claims.subject.to_string()).ok_or(Refusal::Busy)?;
        Ok((of_key, of_workload))
    }

    fn check(&self, token: &VerifiedToken) -> Result<(), Refusal> {
        if token.claims().confirmation.is_none() {
            return Err(Refusal::ProofMissing);
        }
        if !token.claims().scopes.contains(&self.scope) {
            return Err(Refusal::StatusScope);
        }
        Ok(())
    }

    /// What there is after a place, signed.
    fn page(&self, after: u64) -> Result<String, Refusal> {
        let now = self.now();
        let last = *self.revocations.last().borrow();
        let (standing, more) = self.revocations.after(after, status::MOST_ENTRIES);
        let (standing, more) = cut(standing, more);
        // A page that is not the last one ends at its own last entry. The last one says where we stand, also if that is
        // before `after`: then our store is older than what the follower has seen, and it has to know.
        let sequence = if more { standing.last().map_or(after, |last| last.sequence) } else { last };
        let entries: Vec<&Revocation> = standing.iter().map(|standing| &standing.revocation).collect();
        let page = status::page(sequence, more, &entries);
        let claims = Claims {
            issued_at: Some(now),
            extra: page,
            ..Claims::new(
                (&self.issuer).into(),
                Subject::parse(self.issuer.as_str()).map_err(Refusal::Signing)?,
                self.audience.clone(),
                now.saturating_add(PAGE_LIFE),
            )
        };
        let signer = self.keys.signer(SIGNED_WITH).ok_or(Refusal::NoSigningKey(SIGNED_WITH))?;
        let text = sign(&claims, TokenType::Status, &signer).map_err(Refusal::Signing)?;
        Ok(text.expose().to_owned())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs_saturating(self.clock.unix_seconds())
    }
}

/// As many as one page holds.
fn cut(standing: Vec<Standing>, more: bool) -> (Vec<Standing>, bool) {
    let mut bytes = 0_usize;
    let fitting = standing
        .iter()
        .take_while(|standing| {
            bytes = bytes.saturating_add(standing.revocation.value.len()).saturating_add(100);
            bytes <= PAGE_BYTES
        })
        .count()
        .max(1)
        .min(standing.len());
    let is_cut = fitting < standing.len();
    (standing.into_iter().take(fitting).collect(), more || is_cut)
}

/// Exactly one token of the scheme `DPoP`, and one proof.
fn credentials(request: &Parts) -> Result<(&str, &str), Refusal> {
    let one = |name: &str| {
        let mut values = request.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    let token = one(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("dpop").then_some(token)
    });
    let token = token.ok_or(Refusal::EvidenceMissing)?;
    Ok((token, one(header::DPOP).ok_or(Refusal::ProofMissing)?))
}

pub(super) async fn serve(State(route): State<Arc<StatusRoute>>, request: Request<Body>) -> Response {
    // The feed takes no body.
    let (head, _) = request.into_parts();
    route.answer(&head).await.unwrap_or_else(|refusal| error::status(&refusal))
}
