//! The composition root: the only file that knows every part.
//! Not here: what any part does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use serde::Serialize;
use symbolon_audit::{Event, FileSink, Outcome, Record};
use symbolon_config::{ConfigErrors, Environment};
use symbolon_daemon::{Clock, Ended, Lifecycle, Readiness, Registry, ready_file};
use symbolon_http::admin::Admin;
use symbolon_http::server::{Bind, Limits, Server, ServerMetrics};
use symbolon_http::tls::ServerTls;
use symbolon_proof::ReplayWindow;

use crate::admin::Operators;
use crate::clock::Now;
use crate::config::{self, GatewayConfig, Planned};
use crate::fronts::proxy::{Proxy, Shared};
use crate::house::{Builder, House};
use crate::ids::Ids;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::streams::{Open, Reaper, Sockets};
use crate::trail::Trail;

/// How often gauges are brought up to date.
const GAUGES: Duration = Duration::from_secs(5);

/// How the program was started.
#[derive(Debug, Clone)]
pub struct Start {
    /// The configuration file.
    pub config: PathBuf,
    /// Where to write the addresses once ready.
    pub ready_file: Option<PathBuf>,
    /// The environment that the configuration may refer to.
    pub environment: Environment,
}

/// Where the program listens; written to the ready file.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// The proxy.
    pub public: String,
    /// Health and metrics.
    pub admin: String,
    /// The operator's socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_socket: Option<String>,
}

/// A configuration that was read, and what it means.
#[derive(Debug)]
pub struct Read {
    planned: Planned,
    /// Not part of the plan: a reload of the configuration does not depend on a certificate, which has its own.
    tls: Option<ServerTls>,
}

/// A gateway that serves.
#[derive(Debug)]
pub struct App {
    lifecycle: Lifecycle,
    addresses: Addresses,
}

/// The parts that the listeners share.
struct Parts {
    house: Arc<ArcSwap<House>>,
    trail: Arc<Trail>,
    ids: Arc<Ids>,
    now: Now,
    metrics: ServerMetrics,
    open: Open,
    sockets: Sockets,
    tls: Option<ServerTls>,
}

impl Read {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from(path: &Path, environment: &Environment) -> Result<Self, anyhow::Error> {
        let planned = config::load(path, environment)?;
        let tls = planned.loaded.value.tls.as_ref().map(ServerTls::of).transpose().map_err(|error| {
            ConfigErrors::from(planned.loaded.contradiction("tls", symbolon_program::chain(&error)))
        })?;
        Ok(Self { planned, tls })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &GatewayConfig {
        &self.planned.loaded.value
    }

    /// What is valid in it and deserves a look, for people.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let outdated = self.tls.as_ref().and_then(ServerTls::warning);
        let outdated = outdated.map(|warning| format!("tls: {}", symbolon_program::chain(&warning)));
        self.planned.warnings.iter().cloned().chain(outdated)
    }

    /// Does all that start-up does, except to bind and to fetch.
    ///
    /// # Errors
    /// What would keep the program from starting.
    pub fn validate(self, clock: Arc<dyn Clock>) -> Result<(), anyhow::Error> {
        let lifecycle = Lifecycle::new(Duration::ZERO);
        let builder =
            Builder::new(&lifecycle, Arc::new(ReplayWindow::new(1)), Arc::new(Ids::start()?), Now::of(clock));
        let Planned { loaded, plan, .. } = self.planned;
        let keys = builder.keys(&loaded.value, &plan)?;
        builder.house(plan, keys, None)?;
        Ok(())
    }
}

impl App {
    /// Builds the gateway and lets it listen; it serves from now on.
    ///
    /// # Errors
    /// What keeps it from starting: a file, a port, an issuer's settings.
    pub fn start(
        start: &Start,
        read: Read,
        lifecycle: Lifecycle,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, anyhow::Error> {
        let (now, ids) = (Now::of(clock), Arc::new(Ids::start()?));
        let Planned { loaded, plan, warnings } = read.planned;
        config::log_warnings(&warnings);
        let config = loaded.value.clone();
        let readiness = Readiness::new();
        let lifecycle = lifecycle.with_readiness(readiness.clone());
        let mut registry = Registry::new();
        registry.register_build("symbolon-gateway", env!("CARGO_PKG_VERSION"));
        lifecycle.register(&mut registry);
        let (metrics, server_metrics) = (Metrics::register(&mut registry), ServerMetrics::default());
        server_metrics.register(&mut registry);
        let sockets = Sockets::register(&mut registry);

        let replay = Arc::new(replay_window(&config, &now));
        let builder = Builder::new(&lifecycle, Arc::clone(&replay), Arc::clone(&ids), now.clone());
        let keys = builder.keys(&config, &plan)?;
        let house = Arc::new(ArcSwap::from_pointee(builder.house(plan, keys.clone(), None)?));
        let trail = Arc::new(record(&config, &metrics, &now, &lifecycle)?);
        builder.refresh(&keys);
        let open = Open::new(&lifecycle);
        let reaper = Reaper::new(open.clone(), metrics.revoked_streams.clone(), now.clone());
        builder.follow(&config, &keys, &reaper)?;
        let (waiting, waiter) = (readiness.block("issuer keys"), builder.clone());
        lifecycle.spawn_background("issuer_readiness", async move {
            waiter.tried(&keys).await;
            drop(waiting);
        });

        let parts = Parts {
            house: Arc::clone(&house),
            trail: Arc::clone(&trail),
            ids,
            now: now.clone(),
            metrics: server_metrics,
            open,
            sockets,
            tls: read.tls,
        };
        let admin = Admin::new(readiness.clone(), readiness.clone(), Arc::new(registry));
        let addresses = listen(&config, parts, admin, &lifecycle)?;
        measure(metrics, Arc::clone(&house), replay, now.clone(), &lifecycle);
        announce(start.ready_file.clone(), addresses.clone(), readiness, &lifecycle);
        let reloader = Reloader {
            path: start.config.clone(),
            environment: start.environment.clone(),
            config,
            builder,
            house,
            trail,
            reaper,
            now,
        };
        lifecycle.spawn("reload", reloader.run(loaded.files, lifecycle.clone()));
        Ok(Self { lifecycle, addresses })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until told to stop, then drains.
    pub async fn run(self) -> Ended {
        self.lifecycle.run().await
    }
}

/// A memory of used proofs that begins now: a proof from before may have been used up by the process before this one.
fn replay_window(config: &GatewayConfig, now: &Now) -> ReplayWindow {
    let window = ReplayWindow::new(config.replay.entries).since(now.now());
    match config.replay.entries_per_key {
        Some(most) => window.per_key(most),
        None => window,
    }
}

/// Opens the audit file and starts who writes to it.
fn record(
    config: &GatewayConfig,
    metrics: &Metrics,
    now: &Now,
    lifecycle: &Lifecycle,
) -> Result<Trail, anyhow::Error> {
    let Some(audit) = &config.audit else {
        tracing::warn!(event.name = "audit.off", "there is no `audit` section: decisions are not recorded");
        return Ok(Trail::without_file(metrics.clone()));
    };
    let file = audit.file.display();
    let opened = FileSink::open(&audit.file).with_context(|| format!("the audit file `{file}`"))?;
    lifecycle.spawn("audit_file", opened.writer.run());
    let (trail, scribe) = Trail::to_file(opened.sink, metrics.clone(), now.clone());
    lifecycle.spawn("audit", scribe.run());
    let started = Record::new(Event::ProgramStarted, now.now(), Outcome::Success);
    trail.report(started.with_detail("repaired_bytes", opened.repaired_bytes));
    Ok(trail)
}

fn listen(
    config: &GatewayConfig,
    parts: Parts,
    admin: Admin,
    lifecycle: &Lifecycle,
) -> Result<Addresses, anyhow::Error> {
    let limits = Limits {
        max_connections: config.limits.connections,
        max_connections_per_peer: config.limits.connections_per_peer,
        max_requests: Some(config.limits.requests),
        max_concurrent_streams: config.limits.streams,
        ..Limits::default()
    };
    let public = config.listen.listen()?;
    let health = Bind::Tcp(config.admin.listen).listen()?;
    let operators = config.admin.socket.as_ref().map(|path| Bind::unix(path, 0o600).listen()).transpose()?;
    let addresses = Addresses {
        public: public.address().to_string(),
        admin: health.address().to_string(),
        admin_socket: operators.as_ref().map(|bound| bound.address().to_string()),
    };
    let Parts { house, trail, ids, now, metrics, open, sockets, tls } = parts;
    if let Some(bound) = operators {
        let operators = Operators::new(Arc::clone(&trail), Arc::clone(&house));
        Server::new("admin_socket", bound).metrics(metrics.clone()).serve(operators, lifecycle);
    }
    Server::new("admin", health).metrics(metrics.clone()).serve(admin, lifecycle);
    Server::new("proxy", public)
        .limits(limits)
        .tls(tls)
        .metrics(metrics)
        .serve(Proxy::new(Shared { house, trail, ids, now, open, sockets }), lifecycle);
    Ok(addresses)
}

/// Brings the gauges up to date from time to time.
fn measure(
    metrics: Metrics,
    house: Arc<ArcSwap<House>>,
    replay: Arc<ReplayWindow>,
    now: Now,
    lifecycle: &Lifecycle,
) {
    lifecycle.spawn_background("gauges", async move {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        loop {
            let (time, keys) = (now.now(), house.load().keys.clone());
            let without = keys.issuers.iter().filter(|issuer| !issuer.status(time).usable).count();
            metrics.issuers_without_keys.set(gauge(without));
            let policies = house.load().policies.iter().map(|folder| folder.current().set.len()).sum();
            metrics.policies.set(gauge(policies));
            metrics.cached_tokens.set(gauge(keys.tokens.len()));
            metrics.remembered_proofs.set(gauge(replay.len()));
            metrics.revocations.set(gauge(keys.feeds.iter().map(|feed| feed.len()).sum()));
            metrics.stale_feeds.set(gauge(keys.feeds.iter().filter(|feed| feed.is_stale()).count()));
            tokio::time::sleep(GAUGES).await;
        }
    });
}

/// Tells whoever started us where we listen, once we can serve.
fn announce(file: Option<PathBuf>, addresses: Addresses, readiness: Readiness, lifecycle: &Lifecycle) {
    let Some(file) = file else { return };
    lifecycle.spawn_background("ready_file", async move {
        readiness.ready().await;
        if let Err(error) = ready_file::write(&file, &addresses) {
            tracing::error!(event.name = "ready_file.failed", %error, "the ready file cannot be written");
        }
    });
}
