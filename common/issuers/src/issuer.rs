//! One issuer: what it is trusted for, and tokens verified by its own keys.
//! Not here: where the keys come from (`keyring`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use symbolon_http::client::GuardedClient;
use symbolon_identity::{Audience, IssuerName, IssuerUrl, Timestamp};
use symbolon_jws::Thumbprint;
use symbolon_jws::VerifyingKey;
use symbolon_token::{
    AudienceRule, DEFAULT_LEEWAY, Expectations, RequiredClaim, TokenError, TokenType, UnverifiedToken,
    VerifiedToken,
};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::key_set::Found;
use crate::keyring::{Keyring, Missing};
use crate::{FetchError, IssuerError, IssuerSettings, KeyPolicy, SetupError};

/// An issuer: what it is trusted for, and its keys, which prove no other issuer's tokens.
pub struct Issuer {
    settings: IssuerSettings,
    pub(crate) keyring: Keyring,
}

/// What a token is verified for.
#[derive(Clone, Copy)]
struct Purpose<'a> {
    audience: AudienceRule<'a>,
    token_types: &'a [TokenType],
    max_lifetime: Duration,
}

/// The longest life of a page of a revocation feed.
const LONGEST_PAGE: Duration = Duration::from_mins(5);

/// How an issuer's keys are doing, for metrics and readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStatus {
    /// The number of usable keys; zero before the first fetch.
    pub keys: usize,
    /// When they were fetched; none if never, or if they stand in the configuration.
    pub fetched_at: Option<Timestamp>,
    /// Whether there are keys that are young enough.
    pub usable: bool,
    /// Fetches that failed since the last one that succeeded.
    pub failures: u32,
}

impl Issuer {
    pub(crate) fn new(
        settings: IssuerSettings,
        policy: KeyPolicy,
        client: Arc<GuardedClient>,
        now: Timestamp,
    ) -> Result<Self, SetupError> {
        check(&settings)?;
        let keyring = Keyring::new(&settings, policy, client, now)?;
        Ok(Self { settings, keyring })
    }

    /// Whether these are its settings.
    pub(crate) fn has(&self, settings: &IssuerSettings) -> bool {
        self.settings == *settings
    }

    /// The name in the configuration.
    #[must_use]
    pub fn name(&self) -> &IssuerName {
        &self.settings.name
    }

    /// The exact `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> &IssuerUrl {
        &self.settings.issuer
    }

    /// Verifies a token of this issuer for an audience that the issuer is trusted for.
    ///
    /// A token with a new `kid`, or without one and without a fitting key, may wait for one fetch of the keys, which
    /// [`Issuers::refresh_loop`](crate::Issuers::refresh_loop) makes.
    ///
    /// # Errors
    /// [`IssuerError`]: `KeysUnavailable` if the keys are missing, too old, or may lack a new one (an outage is not the
    /// caller's fault), everything else if the token is refused.
    pub async fn verify(
        &self,
        token: &UnverifiedToken,
        audience: AudienceRule<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, IssuerError> {
        if !self.is_trusted_for(audience) {
            return Err(IssuerError::AudienceNotTrusted { issuer: self.settings.name.clone() });
        }
        let purpose = Purpose {
            audience,
            token_types: &self.settings.token_types,
            max_lifetime: self.settings.max_lifetime,
        };
        self.verify_for(token, &purpose, now).await
    }

    /// Verifies a page of this issuer's revocation feed: another type and another audience than any token that opens
    /// something.
    ///
    /// # Errors
    /// As [`Issuer::verify`].
    pub async fn verify_status(
        &self,
        page: &UnverifiedToken,
        audience: &Audience,
        now: Timestamp,
    ) -> Result<VerifiedToken, IssuerError> {
        let purpose = Purpose {
            audience: AudienceRule::Sole(audience),
            token_types: &[TokenType::Status],
            max_lifetime: LONGEST_PAGE,
        };
        self.verify_for(page, &purpose, now).await
    }

    async fn verify_for(
        &self,
        token: &UnverifiedToken,
        purpose: &Purpose<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, IssuerError> {
        if token.issuer_hint() != Some(self.settings.issuer.as_str()) {
            return Err(IssuerError::UnknownIssuer);
        }
        let (called_at, began, mut may_wait) = (now, Instant::now(), true);
        let mut now = called_at;
        loop {
            if let Some(verdict) = self.verify_now(token, purpose, now) {
                return verdict;
            }
            let key_id = token.key_id_hint();
            self.keyring.await_key(key_id, may_wait, now).await.map_err(|missing| self.missing(&missing))?;
            may_wait = false;
            // SECURITY: the wait takes seconds, in which a token can run out.
            now = called_at.saturating_add(began.elapsed());
        }
    }

    /// Whether this key is still one of the issuer's usable ones: to be asked before a cached verdict is used.
    #[must_use]
    pub fn holds(&self, key: &Thumbprint, now: Timestamp) -> bool {
        let keys = self.keyring.load();
        self.keyring.usable(keys.as_deref(), now).is_some_and(|keys| keys.thumbprints().contains(key))
    }

    /// Whether this issuer has the key that a token names. Nothing is verified.
    #[must_use]
    pub fn may_verify(&self, token: &UnverifiedToken, now: Timestamp) -> bool {
        let keys = self.keyring.load();
        let Some(keys) = self.keyring.usable(keys.as_deref(), now) else { return false };
        matches!(keys.find(token.key_id_hint(), token.algorithm_hint()), Found::Key(_))
    }

    /// The outage of an issuer whose keys are not there yet.
    #[must_use]
    pub fn keys_unavailable(&self) -> IssuerError {
        self.missing(&Missing::Later(Duration::from_secs(1)))
    }

    /// Whether two issuers have a key in common, so that its signature would not tell them apart.
    #[must_use]
    pub fn shares_key(&self, other: &Self, now: Timestamp) -> bool {
        let (ours, theirs) = (self.keyring.load(), other.keyring.load());
        match (self.keyring.usable(ours.as_deref(), now), other.keyring.usable(theirs.as_deref(), now)) {
            (Some(ours), Some(theirs)) => !ours.thumbprints().is_disjoint(theirs.thumbprints()),
            (None, _) | (_, None) => false,
        }
    }

    /// A number that grows whenever the set of keys changes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.keyring.generation()
    }

    /// Tells of each new [`generation`](Self::generation).
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.keyring.changes()
    }

    /// How the keys are doing.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        self.keyring.status(now)
    }

    /// Fetches the keys now; if somebody else is at it, afterwards. Returns for how long the publisher says they serve.
    ///
    /// # Errors
    /// [`FetchError`] if no usable set came of it; the last good one stays.
    pub async fn refresh(&self, now: Timestamp) -> Result<Option<Duration>, FetchError> {
        self.keyring.refresh(now).await
    }

    fn is_trusted_for(&self, audience: AudienceRule<'_>) -> bool {
        let trusted = &self.settings.audiences;
        match audience {
            AudienceRule::Contains(one) | AudienceRule::Sole(one) => trusted.contains(one),
            AudienceRule::ContainsAny(several) | AudienceRule::SoleAny(several) => {
                !several.is_empty() && several.iter().all(|one| trusted.contains(one))
            }
        }
    }

    /// The verdict by the keys at hand; none if they lack the token's.
    fn verify_now(
        &self,
        token: &UnverifiedToken,
        purpose: &Purpose<'_>,
        now: Timestamp,
    ) -> Option<Result<VerifiedToken, IssuerError>> {
        let keys = self.keyring.load();
        let issuer = || self.settings.name.clone();
        let key_id = token.key_id_hint();
        let key = match self.keyring.usable(keys.as_deref(), now)?.find(key_id, token.algorithm_hint()) {
            Found::Key(key) => key,
            Found::OtherAlgorithm => return Some(Err(IssuerError::AlgorithmNotAllowed { issuer: issuer() })),
            Found::Nothing if !self.keyring.can_change() => {
                return Some(Err(IssuerError::UnknownKey { issuer: issuer() }));
            }
            Found::Nothing => return None,
        };
        let verdict = self.check(token, key, purpose, now);
        Some(verdict.map_err(|source| IssuerError::Token { issuer: issuer(), source }))
    }

    fn check(
        &self,
        token: &UnverifiedToken,
        key: &VerifyingKey,
        purpose: &Purpose<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        let expectations = Expectations {
            issuer: self.settings.issuer.as_str(),
            audience: purpose.audience,
            token_types: purpose.token_types,
            max_lifetime: purpose.max_lifetime,
            leeway: DEFAULT_LEEWAY,
            required: &[],
        };
        let verified = token.verify(key, &expectations, now)?;
        if verified.claims().issued_at.is_some() {
            return Ok(verified);
        }
        // RFC 9068 §2.2: an access token has `iat`; other types may do without.
        let access_token = Expectations {
            token_types: &[TokenType::AccessToken],
            required: &[RequiredClaim::IssuedAt],
            ..expectations
        };
        match token.verify(key, &access_token, now) {
            Err(TokenError::WrongType) => Ok(verified),
            refused => refused,
        }
    }

    fn missing(&self, missing: &Missing) -> IssuerError {
        let issuer = self.settings.name.clone();
        match missing {
            Missing::Certain => IssuerError::UnknownKey { issuer },
            Missing::Later(retry_after) => IssuerError::KeysUnavailable { issuer, retry_after: *retry_after },
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

fn check(settings: &IssuerSettings) -> Result<(), SetupError> {
    let empty = |what| SetupError::Empty { issuer: settings.name.clone(), what };
    if settings.audiences.is_empty() {
        return Err(empty("audiences"));
    }
    if settings.token_types.is_empty() {
        return Err(empty("token types"));
    }
    if settings.algorithms.as_ref().is_some_and(Vec::is_empty) {
        return Err(empty("algorithms"));
    }
    Ok(())
}
