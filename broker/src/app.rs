//! The composition root: the only file that knows every collaborator.
//! Not here: what any of them does.

mod error;
mod foundation;
mod sockets;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use symbolon_daemon::{Ended, Lifecycle, Readiness, Registry};
use symbolon_http::admin::Admin;
use symbolon_http::server::{Bound, Limits, Server, ServerMetrics};
use symbolon_identity::IssuerUrl;

use crate::attest::Attestors;
use crate::audit::Audit;
use crate::inquiry::Inquirer;
use crate::issue::TokenService;
use crate::limits::Gate;
use crate::metrics::{PolicyMetrics, TokenMetrics};
use crate::mint::Mint;
use crate::plan::{Plan, surroundings};
use crate::policies::Policies;
use crate::proofs::Proofs;
use crate::reload::PolicyReload;
use crate::routes::{self, Decisions, Metadata, OwnDecisions, PublishedKeys, TokenRoute, token_endpoint};
use crate::store::LedgerMetrics;

pub use error::StartError;
use foundation::Foundation;
pub use sockets::Addresses;
use sockets::Sockets;

/// Work in flight may take so long to end.
const GRACE: Duration = Duration::from_secs(25);

/// The broker, ready to run.
#[derive(Debug)]
pub struct App {
    plan: Plan,
    ready_file: Option<PathBuf>,
}

/// The metrics of all parts, registered.
#[derive(Debug)]
struct Metrics {
    connections: ServerMetrics,
    ledger: LedgerMetrics,
    token: TokenMetrics,
    policies: PolicyMetrics,
}

/// What every listener is served with.
#[derive(Debug)]
struct Serving<'a> {
    lifecycle: &'a Lifecycle,
    limits: Limits,
    metrics: ServerMetrics,
}

impl App {
    /// A broker of this plan that tells its addresses in `ready_file`.
    #[must_use]
    pub fn new(plan: Plan, ready_file: Option<PathBuf>) -> Self {
        Self { plan, ready_file }
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// [`StartError`] if it cannot start: a socket, the store or a signing key cannot be had.
    pub async fn run(self) -> Result<Ended, StartError> {
        let readiness = Readiness::new();
        let lifecycle =
            Lifecycle::with_signals(GRACE).map_err(error::Cause::Signals)?.with_readiness(readiness.clone());
        self.start(&lifecycle, &readiness).await?;
        Ok(lifecycle.run().await)
    }

    /// Starts everything under `lifecycle` and returns once it serves.
    ///
    /// # Errors
    /// As [`App::run`].
    pub async fn start(self, lifecycle: &Lifecycle, readiness: &Readiness) -> Result<Addresses, StartError> {
        let Self { plan, ready_file } = self;
        let starting = readiness.block("start");
        plan.policies.log_warnings();
        let mut registry = Registry::new();
        let metrics = Metrics::register(&mut registry, lifecycle, &plan);
        let sockets = Sockets::open(&plan.config.listen)?;
        let addresses = sockets.addresses(&plan.config.issuer)?;
        let limits = Limits {
            max_connections: usize::try_from(plan.config.limits.connections).unwrap_or(usize::MAX),
            ..Limits::default()
        };
        let serving = Serving { lifecycle, limits, metrics: metrics.connections.clone() };
        let admin = Admin::new(readiness.clone(), readiness.clone(), Arc::new(registry));
        serving.server("admin", sockets.admin).serve(admin, lifecycle);

        let foundation = Foundation::lay(&plan, &metrics, lifecycle).await?;
        foundation.announce(&addresses.issuer).await?;
        let service = Service::assemble(plan, &addresses.issuer, &foundation, &metrics)?;
        PolicyReload {
            policies: Arc::clone(&service.policies),
            metrics: metrics.policies.clone(),
            ledger: foundation.ledger.clone(),
            clock: Arc::clone(&foundation.clock),
        }
        .start(lifecycle);
        service.serve(&serving, &foundation, (sockets.public, sockets.attest, sockets.admin_api));
        drop(starting);
        if let Some(path) = &ready_file {
            symbolon_daemon::ready_file::write(path, &addresses)?;
        }
        Ok(addresses)
    }
}

impl Metrics {
    fn register(registry: &mut Registry, lifecycle: &Lifecycle, plan: &Plan) -> Self {
        registry.register_build("symbolon-broker", env!("CARGO_PKG_VERSION"));
        lifecycle.register(registry);
        let connections = ServerMetrics::default();
        connections.register(registry);
        let policies = PolicyMetrics::register(registry);
        policies.set(plan.policies.len());
        Self {
            connections,
            ledger: LedgerMetrics::register(registry),
            token: TokenMetrics::register(registry),
            policies,
        }
    }
}

impl Serving<'_> {
    fn server(&self, name: &'static str, bound: Bound) -> Server {
        Server::new(name, bound).limits(self.limits.clone()).metrics(self.metrics.clone())
    }
}

/// What the public listeners and the admin socket serve.
#[derive(Debug)]
struct Service {
    metadata: Arc<Metadata>,
    keys: Arc<PublishedKeys>,
    token: Arc<TokenRoute>,
    policies: Arc<Policies>,
}

impl Service {
    fn assemble(
        plan: Plan,
        issuer: &IssuerUrl,
        foundation: &Foundation,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let Plan { config, blueprint, groups, resources, local_times, policies, client, .. } = plan;
        let ours = surroundings(issuer);
        let issuers = foundation.issuers(&config.store, blueprint.issuer_settings(&ours)?, &client)?;
        let attestors: Attestors = blueprint.build(&issuers, &ours)?;
        let metadata = Arc::new(Metadata::new(issuer, &resources.scopes()));
        let policies = Arc::new(Policies::new(config.policies, local_times.names(), policies));
        let service = TokenService {
            clock: Arc::clone(&foundation.clock),
            proofs: Proofs::new(token_endpoint(issuer)),
            attestors,
            inquirer: Inquirer { resources, groups, local_times },
            policies: Arc::clone(&policies),
            mint: Mint::new(issuer.clone(), Arc::clone(&foundation.keys)),
            audit: Audit {
                ledger: foundation.ledger.clone(),
                strangers: Arc::clone(&foundation.strangers),
                metrics: metrics.token.clone(),
            },
        };
        let gate = Gate::new(&config.limits);
        let keys = Arc::new(PublishedKeys::of(&foundation.keys)?);
        let token = Arc::new(TokenRoute { service, gate, metrics: metrics.token.clone() });
        Ok(Self { metadata, keys, token, policies })
    }

    fn serve(
        self,
        serving: &Serving<'_>,
        foundation: &Foundation,
        (public, attest, admin_api): (Bound, Option<Bound>, Option<Bound>),
    ) {
        let Self { metadata, keys, token, policies } = self;
        let router = routes::public(metadata, keys, Arc::clone(&token));
        serving.server("public", public).serve(router.clone(), serving.lifecycle);
        if let Some(attest) = attest {
            let own =
                OwnDecisions { store: Arc::clone(&foundation.store), policies: Arc::clone(&policies), token };
            let router = router.merge(routes::own(Arc::new(own)));
            serving.server("attest", attest).serve(router, serving.lifecycle);
        }
        if let Some(admin_api) = admin_api {
            let store = Arc::clone(&foundation.store);
            let uid = rustix::process::geteuid().as_raw();
            let router = routes::admin(Arc::new(Decisions { store, policies, uid }));
            serving.server("admin_socket", admin_api).serve(router, serving.lifecycle);
        }
    }
}
