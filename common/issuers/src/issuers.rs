//! All issuers that a program trusts, and the task that keeps their keys fresh.
//! Not here: a single issuer (`issuer`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use symbolon_http::client::GuardedClient;
use symbolon_identity::{IssuerName, IssuerUrl, Timestamp};
use symbolon_jws::JwkSetError;
use symbolon_token::{AudienceRule, UnverifiedToken, VerifiedToken};
use tokio_util::sync::CancellationToken;

use crate::{FetchError, Issuer, IssuerError, IssuerSettings, KeyPolicy, SetupError};

/// An issuer that asks to be asked less often is heard up to here: a withdrawn key must not live on for longer.
const LONGEST_REFRESH: Duration = Duration::from_hours(1);
/// An issuer that asks to be asked more often is heard down to here.
const SHORTEST_REFRESH: Duration = Duration::from_mins(1);

/// The issuers that a program trusts, by name and by `iss`.
#[derive(Debug)]
pub struct Issuers {
    by_name: HashMap<IssuerName, Arc<Issuer>>,
    by_url: HashMap<String, Arc<Issuer>>,
    policy: KeyPolicy,
    client: Arc<GuardedClient>,
}

impl Issuers {
    /// Checks the settings and reads the last good key sets from disk. Fetches nothing: [`Issuers::refresh_loop`] does.
    ///
    /// # Errors
    /// [`SetupError`] if the settings contradict themselves or each other.
    pub fn new(
        settings: Vec<IssuerSettings>,
        policy: KeyPolicy,
        client: GuardedClient,
        now: Timestamp,
    ) -> Result<Self, SetupError> {
        let none = Self { by_name: HashMap::new(), by_url: HashMap::new(), policy, client: Arc::new(client) };
        none.with(settings, |_| false, now)
    }

    /// The same where several may have one `iss`, as clusters that one tool makes do: [`Issuers::get`] finds each by its
    /// name, [`Issuers::find`] finds none of those. Their caller tells them apart by their keys.
    ///
    /// # Errors
    /// As [`Issuers::new`], but for the same `iss`.
    pub fn sharing(
        settings: Vec<IssuerSettings>,
        policy: KeyPolicy,
        client: GuardedClient,
        now: Timestamp,
    ) -> Result<Self, SetupError> {
        let mut seen: HashMap<&IssuerUrl, usize> = HashMap::new();
        for settings in &settings {
            let count = seen.entry(&settings.issuer).or_default();
            *count = count.saturating_add(1);
        }
        let shared: HashSet<String> = seen
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|(url, _)| url.as_str().to_owned())
            .collect();
        let none = Self { by_name: HashMap::new(), by_url: HashMap::new(), policy, client: Arc::new(client) };
        none.assemble(settings, |_| false, &shared, now)
    }

    /// The issuers of other settings, fetched with the same policy and client. One that its owner wants to `keep`, and
    /// whose settings are what they were, is the same issuer, keys and all.
    ///
    /// # Errors
    /// As [`Issuers::new`].
    pub fn with(
        &self,
        settings: Vec<IssuerSettings>,
        keep: impl Fn(&IssuerName) -> bool,
        now: Timestamp,
    ) -> Result<Self, SetupError> {
        self.assemble(settings, keep, &HashSet::new(), now)
    }

    /// All of them by their names, and by their `iss` unless they share it.
    fn assemble(
        &self,
        settings: Vec<IssuerSettings>,
        keep: impl Fn(&IssuerName) -> bool,
        shared: &HashSet<String>,
        now: Timestamp,
    ) -> Result<Self, SetupError> {
        let (policy, client) = (self.policy.clone(), Arc::clone(&self.client));
        let (mut by_name, mut by_url) = (HashMap::new(), HashMap::new());
        for settings in settings {
            let issuer =
                match self.get(&settings.name).filter(|known| keep(known.name()) && known.has(&settings)) {
                    Some(known) => Arc::clone(known),
                    None => Arc::new(Issuer::new(settings, policy.clone(), Arc::clone(&client), now)?),
                };
            if by_name.insert(issuer.name().clone(), Arc::clone(&issuer)).is_some() {
                return Err(SetupError::DuplicateName { issuer: issuer.name().clone() });
            }
            if shared.contains(issuer.url().as_str()) {
                continue;
            }
            if by_url.insert(issuer.url().as_str().to_owned(), Arc::clone(&issuer)).is_some() {
                return Err(SetupError::DuplicateIssuer { issuer: issuer.name().clone() });
            }
        }
        Ok(Self { by_name, by_url, policy, client })
    }

    /// One issuer by its name in the configuration.
    #[must_use]
    pub fn get(&self, name: &IssuerName) -> Option<&Arc<Issuer>> {
        self.by_name.get(name)
    }

    /// One issuer by the exact `iss` of a token, which proves nothing yet.
    #[must_use]
    pub fn find(&self, issuer_hint: &str) -> Option<&Arc<Issuer>> {
        self.by_url.get(issuer_hint)
    }

    /// All issuers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.by_name.values()
    }

    /// Verifies a token by the issuer that it names.
    ///
    /// # Errors
    /// [`IssuerError::UnknownIssuer`] if no issuer has its `iss`; otherwise as [`Issuer::verify`].
    pub async fn verify(
        &self,
        token: &UnverifiedToken,
        audience: AudienceRule<'_>,
        now: Timestamp,
    ) -> Result<VerifiedToken, IssuerError> {
        let issuer =
            token.issuer_hint().and_then(|hint| self.find(hint)).ok_or(IssuerError::UnknownIssuer)?;
        issuer.verify(token, audience, now).await
    }

    /// Fetches the keys of every issuer once, all at the same time, and returns how many failed.
    pub async fn refresh(&self, now: Timestamp) -> usize {
        let refresh = |issuer| async move { report(issuer, issuer.refresh(now).await.as_ref().err()) };
        let changing = self.iter().filter(|issuer| issuer.keyring.can_change());
        join_all(changing.map(|issuer| refresh(issuer))).await.into_iter().filter(|fetched| !fetched).count()
    }

    /// Keeps all keys fresh until cancelled, and makes the fetches that callers with new keys wait for.
    ///
    /// Spawn it once, through the program's lifecycle. Without it nothing is ever fetched.
    pub async fn refresh_loop(
        self: Arc<Self>,
        clock: impl Fn() -> Timestamp + Send + Sync,
        cancel: CancellationToken,
    ) {
        let changing = self.iter().filter(|issuer| issuer.keyring.can_change());
        let loops = join_all(changing.map(|issuer| self.keep_fresh(issuer, &clock)));
        tokio::select! {
            () = cancel.cancelled() => {}
            _ = loops => cancel.cancelled().await,
        }
    }

    async fn keep_fresh(&self, issuer: &Issuer, clock: &(impl Fn() -> Timestamp + Send + Sync)) {
        loop {
            let outcome = issuer.refresh(clock()).await;
            let usual = || self.after_failure(issuer.status(clock()).failures);
            let pause = if let Ok(max_age) = &outcome {
                self.after_success(*max_age)
            } else {
                issuer.keyring.retry().unwrap_or_else(usual)
            };
            report(issuer, outcome.as_ref().err());
            // A caller's wish ends the pause early; `attempts` has already checked that it is not too early.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = issuer.keyring.wish() => {}
            }
        }
    }

    fn after_success(&self, max_age: Option<Duration>) -> Duration {
        let shortest = SHORTEST_REFRESH.min(self.policy.refresh);
        max_age.map_or(self.policy.refresh, |age| age.clamp(shortest, LONGEST_REFRESH))
    }

    /// Doubles from the least interval up to the usual pause.
    fn after_failure(&self, failures: u32) -> Duration {
        let factor = 1_u32 << failures.saturating_sub(1).min(10);
        self.policy.min_interval.saturating_mul(factor).min(self.policy.refresh.max(self.policy.min_interval))
    }
}

/// Logs a failed fetch; returns whether it succeeded.
fn report(issuer: &Issuer, error: Option<&FetchError>) -> bool {
    if let Some(FetchError::KeySet(error @ JwkSetError::PrivateMember { .. })) = error {
        // Whoever fetches that set can now sign as this issuer: more than a fetch that failed.
        tracing::error!(
            event.name = "issuer.leaked_key",
            issuer.name = %issuer.name(),
            "the issuer publishes a private key: tell it, and trust nothing that this key signs: {error}"
        );
    } else if let Some(error) = error {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(
            event.name = "issuer.keys_not_fetched",
            issuer.name = %issuer.name(),
            error.kind = error.kind(),
            "the issuer's keys could not be fetched, the last good ones stay: {error} {cause}"
        );
    }
    error.is_none()
}
