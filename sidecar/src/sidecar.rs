//! The composition root: the only file that knows every collaborator.
//! Preparing opens no socket, so that `config validate` can do it too.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use symbolon_daemon::{Clock, Lifecycle, Registry};
use symbolon_evidence::{NoSource, Source};
use symbolon_http::admin::Admin;
use symbolon_http::forward::{ForwardOptions, Forwarder};
use symbolon_http::server::{Bind, BindError, Server, ServerMetrics};
use symbolon_http::tls::TlsError;
use symbolon_identity::UpstreamName;
use symbolon_proof::ProofKey;

use symbolon_token_endpoint::SetupError as BrokerSetupError;

use crate::broker::Broker;
use crate::credentials::{Account, Accounts};
use crate::key::{self, KeyError};
use crate::listeners::{Listener, Reverse, Tokens};
use crate::metrics::{BrokerMetrics, OutageBudgets, RequestMetrics, UpstreamLabel};
use crate::settings::{Settings, Upstream};
use crate::startup::Startup;
use crate::time::Time;

/// A sidecar that has everything but its sockets.
#[derive(Debug)]
pub struct Sidecar {
    settings: Settings,
    lifecycle: Lifecycle,
    broker: Arc<Broker>,
    accounts: Accounts,
    upstreams: Vec<(Upstream, Arc<Reverse>)>,
    startup: Startup,
    registry: Registry,
    servers: ServerMetrics,
    time: Time,
}

/// Where a running sidecar listens; what `--ready-file` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// Health and metrics.
    pub health: String,
    /// The token endpoint, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<String>,
    /// The listeners of the upstreams: `ADDRESS:PORT`, or the path of a Unix socket.
    pub upstreams: BTreeMap<UpstreamName, String>,
}

/// Why the sidecar does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The proof key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no evidence to choose.
    #[error(transparent)]
    Evidence(#[from] NoSource),
    /// The broker cannot be asked.
    #[error(transparent)]
    Broker(#[from] BrokerSetupError),
    /// An upstream's CA file cannot be used.
    #[error("the upstream `{upstream}` cannot be reached by TLS")]
    Upstream {
        /// The upstream.
        upstream: UpstreamName,
        /// What is wrong.
        #[source]
        source: TlsError,
    },
    /// An address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl StartError {
    /// Whether the configuration is to blame, rather than the machine at this moment.
    #[must_use]
    pub const fn is_invalid_configuration(&self) -> bool {
        match self {
            Self::Key(_) | Self::Evidence(_) | Self::Broker(_) | Self::Upstream { .. } => true,
            Self::Bind(_) => false,
        }
    }
}

impl Sidecar {
    /// Prepares a sidecar that will live under `lifecycle`: reads keys and CA files, opens nothing.
    ///
    /// # Errors
    /// A file that the configuration names is missing or unusable.
    pub fn prepare(
        settings: Settings,
        lifecycle: Lifecycle,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let startup = Startup::default();
        let lifecycle = lifecycle.with_readiness(startup.ready.clone());
        let time = Time::new(clock);
        let mut registry = Registry::new();
        let servers = ServerMetrics::default();
        servers.register(&mut registry);
        lifecycle.register(&mut registry);
        registry.register_build("symbolon-sidecar", env!("CARGO_PKG_VERSION"));
        let key = Arc::new(key::load_or_generate(&settings.key)?);
        let source = Source::choose(&settings.evidence, settings.broker.socket.as_deref())?.source;
        let metrics = BrokerMetrics::register(&mut registry);
        let broker = Broker::new(&settings.broker, source, Arc::clone(&key), time.clone(), metrics)?;
        let mut accounts = Accounts::default();
        let requests = RequestMetrics::register(&mut registry);
        let builder = ReverseBuilder { key, lifecycle: &lifecycle, time: &time, requests: &requests };
        let mut upstreams = Vec::new();
        for upstream in &settings.upstreams {
            let account = accounts.open(upstream, settings.broker.timeout.as_duration(), &time);
            upstreams.push((upstream.clone(), Arc::new(builder.build(upstream, account)?)));
        }
        let budgets =
            upstreams.iter().map(|(_, reverse)| (reverse.label.clone(), Arc::clone(&reverse.account)));
        OutageBudgets::register(&mut registry, budgets.collect());
        let broker = Arc::new(broker);
        Ok(Self { settings, lifecycle, broker, accounts, upstreams, startup, registry, servers, time })
    }

    /// Binds all listeners, then serves and begins to ask the broker, from within a tokio runtime.
    ///
    /// # Errors
    /// An address is taken or not ours to take; nothing is served then.
    pub fn start(self) -> Result<Addresses, StartError> {
        let health = Bind::Tcp(self.settings.health).listen()?;
        let endpoints =
            self.settings.endpoints.as_ref().map(|door| Listener::bind(door, None)).transpose()?;
        let mut listeners = Vec::new();
        for (upstream, reverse) in &self.upstreams {
            if let Some(door) = &upstream.door {
                listeners.push((Listener::bind(door, Some(upstream))?, reverse));
            }
        }
        let addresses = Addresses {
            health: health.address().to_string(),
            endpoints: endpoints.as_ref().map(|listener| listener.address().to_string()),
            upstreams: listeners
                .iter()
                .map(|(listener, reverse)| (reverse.label.0.clone(), listener.address().to_string()))
                .collect(),
        };
        self.wait_for_verdicts();
        self.keep_accounts();
        if let Some(listener) = endpoints {
            listener.serve_tokens(Arc::new(self.tokens()), &self.servers, &self.lifecycle);
        }
        for (listener, reverse) in listeners {
            listener.serve_upstream(
                Arc::clone(reverse),
                self.settings.limits,
                &self.servers,
                &self.lifecycle,
            );
        }
        let Startup { startup, ready } = self.startup;
        let admin = Admin::new(startup, ready, Arc::new(self.registry));
        Server::new("health", health).metrics(self.servers).serve(admin, &self.lifecycle);
        Ok(addresses)
    }

    /// The lifecycle under which it lives, with the readiness that the drain blocks.
    #[must_use]
    pub const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn wait_for_verdicts(&self) {
        for (upstream, reverse) in &self.upstreams {
            let patience = (!upstream.required).then_some(self.settings.start_timeout);
            let account = Arc::clone(&reverse.account);
            self.startup.wait_for(&upstream.name, account, patience, &self.lifecycle);
        }
    }

    fn keep_accounts(&self) {
        for account in self.accounts.iter() {
            let (account, broker) = (Arc::clone(account), Arc::clone(&self.broker));
            // In the background: while requests in flight are finished, their token stays fresh.
            self.lifecycle.spawn_background("account", async move { account.keep(&broker).await });
        }
        for (_, reverse) in &self.upstreams {
            let reverse = Arc::clone(reverse);
            self.lifecycle.spawn_background("streams", async move { reverse.keep_streams().await });
        }
    }

    fn tokens(&self) -> Tokens {
        let accounts = self.upstreams.iter();
        let accounts =
            accounts.map(|(upstream, reverse)| (upstream.name.clone(), Arc::clone(&reverse.account)));
        Tokens { accounts: accounts.collect(), time: self.time.clone() }
    }
}

/// What all upstreams share.
struct ReverseBuilder<'a> {
    key: Arc<ProofKey>,
    lifecycle: &'a Lifecycle,
    time: &'a Time,
    requests: &'a RequestMetrics,
}

impl ReverseBuilder<'_> {
    fn build(&self, upstream: &Upstream, account: Arc<Account>) -> Result<Reverse, StartError> {
        let options = ForwardOptions {
            answer_timeout: upstream.timeout,
            ca_file: upstream.ca_file.clone(),
            http2: upstream.http2,
            ..ForwardOptions::default()
        };
        let forwarder = |options: &ForwardOptions| {
            Forwarder::new(options, self.lifecycle)
                .map_err(|source| StartError::Upstream { upstream: upstream.name.clone(), source })
        };
        Ok(Reverse {
            label: UpstreamLabel(upstream.name.clone()),
            target: Arc::new(upstream.target.clone()),
            app_authorization: upstream.app_authorization,
            account,
            key: Arc::clone(&self.key),
            forwarder: forwarder(&options)?,
            anew: forwarder(&ForwardOptions { max_idle: 0, ..options })?,
            time: self.time.clone(),
            metrics: self.requests.clone(),
            renewals: Arc::default(),
        })
    }
}
