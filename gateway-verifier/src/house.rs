//! One configuration at work: a judge, forwarders and the issuers' keys; built at start and again on reload.
//! Not here: when to reload (`reload.rs`).

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::client::{AddressPolicy, ClientSetupError, GuardedClient};
use symbolon_http::forward::{ForwardError, ForwardOptions, Forwarder, UpstreamError};
use symbolon_http::tls::TlsError;
use symbolon_identity::{IssuerName, Timestamp};
use symbolon_issuers::{Issuer, Issuers, KeyPolicy, SetupError};
use symbolon_proof::ReplayWindow;
use tokio_util::sync::CancellationToken;

use crate::cache::TokenCache;
use crate::caller::VerifiedCaller;
use crate::clock::Now;
use crate::config::{GatewayConfig, IssuerConfig, KeysConfig};
use crate::ids::Ids;
use crate::judge::{Admitted, Judge};
use crate::plan::Plan;
use crate::policies::PolicyFolder;
use crate::revocations::{Feed, Feeds, Follower};
use crate::stages::verify::Verifier;
use crate::streams::Reaper;

/// How often to look whether every issuer has been asked.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// One configuration at work.
#[derive(Debug)]
pub struct House {
    /// Decides.
    pub judge: Judge,
    /// The issuers that it trusts.
    pub keys: Keys,
    /// The policies that its routes ask.
    pub policies: Vec<Arc<PolicyFolder>>,
    /// Forward, by the slot of an upstream.
    forwarders: Vec<Forwarder<Admitted>>,
    forwarding: Vec<ForwardOptions>,
}

/// The issuers with their keys, and the tokens that were verified by them.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The issuers.
    pub issuers: Arc<Issuers>,
    /// The tokens that were verified by these issuers, or by ones of the same name before them, which do not count.
    pub tokens: Arc<TokenCache>,
    /// What the issuers have taken back.
    pub feeds: Arc<Feeds>,
    /// Ends the background refresh of these issuers.
    pub stop: CancellationToken,
    written: (Vec<IssuerConfig>, KeysConfig),
}

/// What survives every reload.
#[derive(Debug, Clone)]
pub struct Builder {
    lifecycle: Lifecycle,
    replay: Arc<ReplayWindow>,
    ids: Arc<Ids>,
    now: Now,
}

/// Why a plan cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A CA file of an upstream cannot be used.
    #[error("an upstream cannot be set up")]
    Upstream(#[source] TlsError),
    /// The client for the issuers' keys cannot be made.
    #[error("the client for the issuers' keys cannot be set up")]
    Client(#[source] ClientSetupError),
    /// An issuer cannot be set up.
    #[error("an issuer cannot be set up")]
    Issuers(#[source] SetupError),
    /// A revocation feed cannot be followed.
    #[error("a revocation feed cannot be followed")]
    Feed(#[source] crate::revocations::SetupError),
}

impl Builder {
    /// A builder for a program with this life and clock.
    #[must_use]
    pub fn new(lifecycle: &Lifecycle, replay: Arc<ReplayWindow>, ids: Arc<Ids>, now: Now) -> Self {
        Self { lifecycle: lifecycle.clone(), replay, ids, now }
    }

    /// The issuers of a configuration, with the last good keys from disk; nothing is fetched yet.
    ///
    /// # Errors
    /// [`BuildError`] if the client or an issuer cannot be set up.
    pub fn keys(&self, config: &GatewayConfig, plan: &Plan) -> Result<Keys, BuildError> {
        let dev = any_dev(&config.issuers);
        // Issuers are named by the operator and usually live in a private network. Loopback only for development.
        let policy = AddressPolicy::public().allow_private();
        let policy = if dev { policy.allow_loopback() } else { policy };
        let mut client = GuardedClient::builder().addresses(policy);
        if let Some(file) = &config.keys.ca_file {
            client = client.ca_file(file);
        }
        let client = client.build().map_err(BuildError::Client)?;
        let policy = KeyPolicy {
            refresh: config.keys.refresh.into(),
            max_stale: config.keys.max_stale.into(),
            directory: config.keys.directory.clone(),
            ..KeyPolicy::default()
        };
        let issuers = Issuers::new(plan.issuers.clone(), policy, client, self.now.now())
            .map_err(BuildError::Issuers)?;
        Ok(Keys {
            issuers: Arc::new(issuers),
            tokens: Arc::new(TokenCache::new(config.token_cache.entries)),
            feeds: Arc::new(feeds(config, &Feeds::default())),
            stop: CancellationToken::new(),
            written: written(config),
        })
    }

    /// The issuers of a changed configuration. Who was not changed is taken over with keys and verified tokens.
    ///
    /// # Errors
    /// As [`Builder::keys`].
    pub fn renewed(&self, before: &Keys, config: &GatewayConfig, plan: &Plan) -> Result<Keys, BuildError> {
        if !before.are_fetched_as_in(config) {
            // Keys are fetched anew; what was revoked stays so.
            let feeds = Arc::new(feeds(config, &before.feeds));
            return Ok(Keys { feeds, ..self.keys(config, plan)? });
        }
        // All that is written of an issuer counts, because a verified token also holds what this program made of it.
        let written_of = |issuers: &[IssuerConfig], name: &IssuerName| {
            issuers.iter().find(|issuer| issuer.name == *name).cloned()
        };
        let keep =
            |name: &IssuerName| written_of(&before.written.0, name) == written_of(&config.issuers, name);
        let issuers = before.issuers.with(plan.issuers.clone(), keep, self.now.now());
        let issuers = issuers.map_err(BuildError::Issuers)?;
        Ok(Keys {
            issuers: Arc::new(issuers),
            // A token counts only while its issuer is still the same one: see `Verifier::known`.
            tokens: Arc::clone(&before.tokens),
            feeds: Arc::new(feeds(config, &before.feeds)),
            stop: CancellationToken::new(),
            written: written(config),
        })
    }

    /// The house of a plan. Forwarders of the previous one are used again, so that their connections live on.
    ///
    /// # Errors
    /// [`BuildError`] if an upstream cannot be set up.
    pub fn house(&self, plan: Plan, keys: Keys, previous: Option<&House>) -> Result<House, BuildError> {
        let mut forwarders = Vec::with_capacity(plan.forwarding.len());
        for options in &plan.forwarding {
            let known = previous.and_then(|house| house.forwarder(options));
            forwarders.push(match known {
                Some(forwarder) => forwarder,
                None => Forwarder::new(options, &self.lifecycle).map_err(BuildError::Upstream)?,
            });
        }
        let verifier = Verifier::new(
            Arc::clone(&keys.issuers),
            Arc::clone(&keys.tokens),
            Arc::clone(&self.replay),
            plan.origins,
        )
        .with_feeds(Arc::clone(&keys.feeds));
        let judge = Judge::new(plan.routes, verifier, Arc::clone(&self.ids));
        Ok(House { judge, keys, policies: plan.policies, forwarders, forwarding: plan.forwarding })
    }

    /// Keeps the issuers' keys fresh in the background until they are replaced.
    pub fn refresh(&self, keys: &Keys) {
        let (issuers, stop, now) = (Arc::clone(&keys.issuers), keys.stop.clone(), self.now.clone());
        let refresh = issuers.refresh_loop(move || now.now(), stop);
        self.lifecycle.spawn_background("issuer_keys", refresh);
    }

    /// Follows the keys of all issuers and the feeds of those that have one, and has what they revoke ended where it is open.
    ///
    /// # Errors
    /// [`BuildError::Feed`] if one cannot be followed at all.
    pub fn follow(&self, config: &GatewayConfig, keys: &Keys, reaper: &Reaper) -> Result<(), BuildError> {
        for issuer in keys.issuers.iter() {
            let reaping = reaper.clone().run_keys(Arc::clone(issuer), keys.stop.clone());
            self.lifecycle.spawn_background("keyless_streams", reaping);
        }
        for written in &config.issuers {
            let (Some(revocations), Some(feed), Some(issuer)) =
                (&written.revocations, keys.feeds.of(&written.name), keys.issuers.get(&written.name))
            else {
                continue;
            };
            let of = (revocations, written);
            let follower = Follower::new(Arc::clone(feed), Arc::clone(issuer), of, self.now.clone());
            self.lifecycle.spawn_background("revocations", follower.map_err(BuildError::Feed)?.run());
            let reaping = reaper.clone().run(Arc::clone(&keys.feeds), Arc::clone(feed));
            self.lifecycle.spawn_background("revoked_streams", reaping);
        }
        Ok(())
    }

    /// Waits until every issuer has usable keys or has been asked in vain.
    pub async fn tried(&self, keys: &Keys) {
        let untried = |issuer: &Arc<Issuer>| {
            let status = issuer.status(self.now.now());
            !status.usable && status.failures == 0
        };
        while keys.issuers.iter().any(untried) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl House {
    /// Sends an admitted request to the upstream of its route.
    ///
    /// # Errors
    /// When no proper answer comes back.
    pub async fn forward(
        &self,
        admitted: Admitted,
        request: Request<Body>,
    ) -> Result<Response<Body>, ForwardError> {
        // INVARIANT: the plan that made the route's slot also made as many forwarders.
        match self.forwarders.get(admitted.route().upstream.slot) {
            Some(forwarder) => forwarder.forward(admitted, request).await,
            None => Err(ForwardError::Address(UpstreamError::Path)),
        }
    }

    fn forwarder(&self, options: &ForwardOptions) -> Option<Forwarder<Admitted>> {
        let slot = self.forwarding.iter().position(|known| known == options)?;
        self.forwarders.get(slot).cloned()
    }
}

impl Keys {
    /// Whether a changed configuration leaves the issuers as they are, so that their keys and tokens stay.
    #[must_use]
    pub fn fit(&self, config: &GatewayConfig) -> bool {
        self.written == written(config)
    }

    /// Whether a caller that was verified has lost its right: its token is revoked, or nobody trusts its issuer any more.
    #[must_use]
    pub fn withdraw(&self, caller: &VerifiedCaller, now: Timestamp) -> bool {
        self.feeds.revoke(caller, now) || self.are_strange_to(caller) || self.have_lost_that_of(caller, now)
    }

    /// Whether the issuer that verified a token is in force and does not publish its key any more.
    fn have_lost_that_of(&self, caller: &VerifiedCaller, now: Timestamp) -> bool {
        let issuer = caller.issuer();
        let known = self.issuers.get(caller.issuer_name()).is_some_and(|known| Arc::ptr_eq(known, issuer));
        known && !issuer.holds(&caller.token().key_thumbprint(), now)
    }

    /// Whether the issuer of a caller is none of these, under its name.
    #[must_use]
    pub fn are_strange_to(&self, caller: &VerifiedCaller) -> bool {
        let known = self.issuers.get(caller.issuer_name());
        known.is_none_or(|issuer| issuer.url() != caller.issuer().url())
    }

    /// Whether a changed configuration leaves it as it is how keys are fetched and kept.
    fn are_fetched_as_in(&self, config: &GatewayConfig) -> bool {
        let (issuers, keys) = &self.written;
        *keys == config.keys && any_dev(issuers) == any_dev(&config.issuers)
    }
}

/// Whether keys may be fetched from this machine.
fn any_dev(issuers: &[IssuerConfig]) -> bool {
    issuers.iter().any(|issuer| issuer.dev)
}

/// A feed for each issuer that has one. It begins with what an earlier one of the same issuer knew.
fn feeds(config: &GatewayConfig, before: &Feeds) -> Feeds {
    let mut feeds = Feeds::default();
    for issuer in &config.issuers {
        if let Some(revocations) = &issuer.revocations {
            let feed = Feed::new(revocations, before.of(&issuer.name).map(|feed| &**feed));
            feeds.add(issuer.name.clone(), Arc::new(feed));
        }
    }
    feeds
}

fn written(config: &GatewayConfig) -> (Vec<IssuerConfig>, KeysConfig) {
    (config.issuers.clone(), config.keys.clone())
}
