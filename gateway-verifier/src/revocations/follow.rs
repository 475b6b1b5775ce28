//! Following the revocation feed of one issuer: page after page, by a token of our own that evidence buys.
//! Not here: what becomes of a token that is revoked.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use symbolon_evidence::{NoSource, Source};
use symbolon_http::client::{ClientError, ClientSetupError, Fetched, GuardedClient};
use symbolon_identity::{Audience, IdentityError, Scopes};
use symbolon_issuers::{Issuer, IssuerError};
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofKeyError, ProofRequest};
use symbolon_token::{Revocation, RevocationSet, TokenError, UnverifiedToken};
use symbolon_token_endpoint::{AskError, Place, Reply, TokenEndpoint, is_token, proof_header};
use symbolon_wire::{TokenType, paths, status};
use tokio::time::Instant;
use url::Url;

use super::Feed;
use crate::clock::Now;
use crate::config::{IssuerConfig, RevocationsConfig};

/// The longest that the issuer may hold an answer back; a connection that is dead shows after this.
const LONGEST_WAIT: u64 = 15;
/// How long one answer may take beyond that.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest page.
const MAX_PAGE_BYTES: usize = 64 * 1024;
/// The pauses after failures: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// After so long without the feed everything is asked for anew: what was lifted meanwhile may be forgotten there.
const AFRESH_AFTER: Duration = Duration::from_mins(30);

/// Follows one feed.
#[derive(Debug)]
pub struct Follower {
    feed: Arc<Feed>,
    issuer: Arc<Issuer>,
    endpoint: TokenEndpoint,
    client: GuardedClient,
    key: Arc<ProofKey>,
    url: Url,
    audience: Audience,
    scopes: Scopes,
    wait: u64,
    now: Now,
}

/// What follows from the pages so far.
#[derive(Debug, Default)]
struct Position {
    after: u64,
    known: RevocationSet,
    /// Whether `known` has something that the feed was not told yet.
    is_ahead: bool,
    token: Option<Held>,
}

/// Our own token for the feed.
struct Held {
    token: SecretString,
    renew_at: Instant,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("renew_at", &self.renew_at).finish_non_exhaustive()
    }
}

/// Why a feed cannot be followed at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no evidence to choose.
    #[error(transparent)]
    Evidence(#[from] NoSource),
    /// The token endpoint cannot be asked.
    #[error("the token endpoint cannot be set up")]
    Endpoint(#[from] symbolon_token_endpoint::SetupError),
    /// The client cannot be made.
    #[error("the client for the feed cannot be set up")]
    Client(#[from] ClientSetupError),
    /// There is no key.
    #[error("no key could be made")]
    Key(#[from] ProofKeyError),
    /// The URL of the feed is none.
    #[error("the URL of the feed is none")]
    Url(#[from] url::ParseError),
    /// The URL of the feed is no audience, or the scope no scope.
    #[error("the feed cannot be named")]
    Name(#[from] IdentityError),
}

/// Why there is no page this time.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("no token for the feed: the broker could not be asked")]
    Ask(#[from] AskError),
    #[error("no token for the feed: {0}")]
    Refused(String),
    #[error("the feed could not be reached")]
    Client(#[from] ClientError),
    #[error("the feed answered {0}")]
    Status(StatusCode),
    #[error("the page is no signed page")]
    Form(#[from] TokenError),
    #[error("the page is not the issuer's")]
    Signature(#[from] IssuerError),
    #[error("the page lacks its members")]
    Members,
    #[error(
        "the feed went back from {known} to {told}; a store that was restored needs a restart of the gateways"
    )]
    Backwards { known: u64, told: u64 },
}

impl Follower {
    /// Whoever follows this feed of this issuer. Nothing is asked yet.
    ///
    /// # Errors
    /// [`SetupError`] if a file cannot be used or there is no randomness.
    pub fn new(
        feed: Arc<Feed>,
        issuer: Arc<Issuer>,
        (config, written): (&RevocationsConfig, &IssuerConfig),
        now: Now,
    ) -> Result<Self, SetupError> {
        let key = Arc::new(ProofKey::generate(Algorithm::Es256)?);
        let place = Place {
            issuer: written.issuer.clone(),
            socket: config.socket.clone(),
            ca_file: config.ca_file.clone(),
            timeout: Duration::from_secs(5),
        };
        let url = written.issuer.join(paths::STATUS);
        // Several answers within the time after which no news are bad news.
        let wait = (config.max_stale.as_duration().as_secs() / 3).clamp(1, LONGEST_WAIT);
        let source = Source::choose(&config.evidence, config.socket.as_deref())?.source;
        Ok(Self {
            endpoint: TokenEndpoint::new(&place, source, Arc::clone(&key))?,
            client: place.client(PATIENCE.saturating_add(Duration::from_secs(wait)), MAX_PAGE_BYTES)?,
            audience: Audience::parse(&url)?,
            url: Url::parse(&url)?,
            scopes: Scopes::parse(status::SCOPE)?,
            feed,
            issuer,
            key,
            wait,
            now,
        })
    }

    /// Follows the feed until it is ended.
    pub async fn run(self) {
        let stop = self.feed.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&self) {
        let (mut position, mut pause, mut lost) = (Position::default(), FIRST_PAUSE, None::<Instant>);
        loop {
            match self.turn(&mut position).await {
                Ok(more) => {
                    if lost.take().is_some() {
                        tracing::info!(event.name = "revocations.followed", issuer.name = %self.issuer.name(), "the revocation feed is followed again");
                    }
                    pause = FIRST_PAUSE;
                    if !more {
                        self.feed.is_current();
                    }
                }
                Err(error) => {
                    let since = *lost.get_or_insert_with(Instant::now);
                    let problem = chain(&error);
                    tracing::warn!(event.name = "revocations.lost", issuer.name = %self.issuer.name(), problem, "the revocation feed cannot be followed");
                    if since.elapsed() > AFRESH_AFTER {
                        position = Position::default();
                    }
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Takes the next page; says whether there is more.
    async fn turn(&self, position: &mut Position) -> Result<bool, FollowError> {
        let token = self.token(position).await?;
        let fetched = self.fetch(&token, position.after).await?;
        if fetched.status != StatusCode::OK {
            // Whatever is wrong with our token, another one may be better.
            position.token = None;
            return Err(FollowError::Status(fetched.status));
        }
        let page = self.read(&fetched).await?;
        if page.seq < position.after {
            return Err(FollowError::Backwards { known: position.after, told: page.seq });
        }
        position.after = page.seq;
        position.is_ahead |= !page.revocations.is_empty();
        if page.more {
            // SECURITY: until all of it is here, what counts already goes on counting.
            self.feed.add(&page.revocations);
        }
        for revocation in page.revocations {
            position.known.add(revocation);
        }
        if position.is_ahead && !page.more {
            position.known.prune(self.now.now());
            position.is_ahead = false;
            self.feed.take(position.known.clone());
        }
        Ok(page.more)
    }

    /// Our token, renewed at half of its life.
    async fn token(&self, position: &mut Position) -> Result<SecretString, FollowError> {
        if let Some(held) = position.token.as_ref().filter(|held| Instant::now() < held.renew_at) {
            return Ok(held.token.clone());
        }
        let evidence = self.endpoint.evidence().await?;
        let asked = Instant::now();
        let fetched =
            self.endpoint.ask(self.audience.as_str(), &self.scopes, &evidence, self.now.now()).await?;
        let answer = match Reply::read(&fetched) {
            Reply::Token(answer) => answer,
            Reply::Refusal(refusal) => return Err(FollowError::Refused(refusal.error_description)),
            Reply::Nothing { .. } => return Err(FollowError::Refused("it does not answer".to_owned())),
        };
        if answer.token_type != TokenType::Dpop || !is_token(answer.access_token.expose_secret()) {
            return Err(FollowError::Refused("what it gave is not bound to our key".to_owned()));
        }
        let half = Duration::from_millis(answer.expires_in.saturating_mul(500));
        // A life that no clock can tell is none.
        let renew_at = asked.checked_add(half).unwrap_or(asked);
        let token = answer.access_token;
        position.token = Some(Held { token: token.clone(), renew_at });
        Ok(token)
    }

    async fn fetch(&self, token: &SecretString, after: u64) -> Result<Fetched, FollowError> {
        let request = ProofRequest {
            method: "GET",
            target_uri: self.url.as_str(),
            access_token: Some(token.expose_secret()),
            nonce: None,
        };
        let mut headers: HeaderMap = proof_header(&self.key, &request, self.now.now())?;
        let mut value = HeaderValue::try_from(format!("DPoP {}", token.expose_secret()))
            .map_err(|_| AskError::NotAHeader)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        let mut url = self.url.clone();
        // The first answer comes at once, so that a gateway that starts knows soon where it stands.
        let wait = if after == 0 && self.feed.is_stale() { 0 } else { self.wait };
        url.set_query(Some(&status::Query { after, wait }.to_text()));
        Ok(self.client.get(&url, headers).await?)
    }

    async fn read(&self, fetched: &Fetched) -> Result<status::Page<Revocation>, FollowError> {
        let text = std::str::from_utf8(&fetched.body).map_err(|_| FollowError::Members)?;
        let page = UnverifiedToken::parse(text)?;
        let page = self.issuer.verify_status(&page, &self.audience, self.now.now()).await?;
        let members = Value::Object(page.claims().extra.clone());
        serde_json::from_value(members).map_err(|_| FollowError::Members)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
