//! The composition root: the only file that knows every collaborator.
//! Not here: what any of them does.

mod error;
mod foundation;
mod rehearsal;
mod sockets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use symbolon_daemon::{Ended, Lifecycle, Readiness, Registry};
use symbolon_http::admin::Admin;
use symbolon_http::server::{Bound, Limits, Server, ServerMetrics};
use symbolon_http::tls::ServerTls;
use symbolon_identity::{Audience, ClientId, IssuerUrl, WorkloadId};
use symbolon_issuers::Issuers;
use symbolon_wire::paths;

use crate::attest::Attestors;
use crate::config::{Config, LimitsConfig};
use crate::inquiry::Inquirer;
use crate::inspect::Inspector;
use crate::issue::TokenService;
use crate::limits::Gate;
use crate::metrics::{IntrospectionMetrics, KeyMetrics, PolicyMetrics, TokenMetrics};
use crate::mint::Mint;
use crate::own_tokens::OwnTokens;
use crate::pins::Pins;
use crate::plan::{Plan, surroundings};
use crate::policies::Policies;
use crate::proofs::Proofs;
use crate::proxies::Proxies;
use crate::reload::PolicyReload;
use crate::revoke::Allowance;
use crate::routes::door::Door;
use crate::routes::{
    self, Decisions, EvidenceRoute, InspectRoutes, KeysRoute, Metadata, Operators, OwnDecisions, Public,
    RevocationRoutes, StatusParts, StatusRoute, TokenRoute, token_endpoint,
};
use crate::store::LedgerMetrics;
use crate::subject::{ForeignSurroundings, Subjects};

pub use error::StartError;
use foundation::{Foundation, issuer_keys};
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
    keys: KeyMetrics,
    token: TokenMetrics,
    policies: PolicyMetrics,
    introspections: IntrospectionMetrics,
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

    /// Does what a start does with what is there already, without changing or binding anything: for `config validate`.
    ///
    /// # Errors
    /// [`StartError`] if a start would fail on it.
    pub async fn rehearse(self) -> Result<(), StartError> {
        rehearsal::rehearse(self.plan).await
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
        let max_connections = usize::try_from(plan.config.limits.connections).unwrap_or(usize::MAX);
        let limits = Limits {
            max_connections,
            // Behind a proxy all callers share its address.
            max_connections_per_peer: (!plan.config.listen.trusted_proxies.is_empty())
                .then_some(max_connections),
            ..Limits::default()
        };
        let serving = Serving { lifecycle, limits, metrics: metrics.connections.clone() };
        let admin = Admin::new(readiness.clone(), readiness.clone(), Arc::new(registry));
        serving.server("admin", sockets.admin).serve(admin, lifecycle);

        let foundation = Foundation::lay(&plan, &metrics, lifecycle, readiness).await?;
        foundation.announce(&addresses.issuer).await?;
        let mut plan = plan;
        if plan.tls.is_none() {
            plan.tls = foundation.kept_certificate(&plan).await?;
        }
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
            keys: KeyMetrics::register(registry),
            token: TokenMetrics::register(registry),
            introspections: IntrospectionMetrics::register(registry),
            policies,
        }
    }
}

impl Serving<'_> {
    fn server(&self, name: &'static str, bound: Bound) -> Server {
        Server::new(name, bound).limits(self.limits.clone()).metrics(self.metrics.clone())
    }
}

/// Whether a name or a group of workloads is made of labels. The texts are CEL, in which nothing else is called so.
fn mention_labels(config: &Config) -> bool {
    let names = config.trust_providers.iter().map(|provider| &provider.workload);
    names.chain(config.groups.values()).any(|text| text.contains("labels"))
}

fn inspector(
    (issuer, limits): (&IssuerUrl, &LimitsConfig),
    foundation: &Foundation,
    (attestors, inquirer, policies, own): (Arc<Attestors>, Arc<Inquirer>, Arc<Policies>, Arc<OwnTokens>),
) -> Inspector {
    Inspector {
        introspections: Proofs::new(issuer.join(paths::INTROSPECT)),
        givings_back: Proofs::new(issuer.join(paths::REVOKE)),
        attestors,
        inquirer,
        policies,
        own,
        revocations: Arc::clone(&foundation.revocations),
        allowance: Allowance::new(limits.given_back_per_hour),
        ledger: foundation.ledger.clone(),
        repeats: Arc::clone(&foundation.repeats),
        store: Arc::clone(&foundation.store),
    }
}

fn status_parts(
    foundation: &Foundation,
    own: &Arc<OwnTokens>,
    (gate, proxies): (Arc<Gate>, Arc<Proxies>),
) -> StatusParts {
    StatusParts {
        own: Arc::clone(own),
        keys: Arc::clone(&foundation.keys),
        revocations: Arc::clone(&foundation.revocations),
        clock: Arc::clone(&foundation.clock),
        gate,
        proxies,
    }
}

/// What the public listeners and the admin socket serve.
#[derive(Debug)]
struct Service {
    public: Public,
    policies: Arc<Policies>,
    /// The registered clients, whom operators may name by their ids.
    clients: BTreeMap<ClientId, WorkloadId>,
    /// Of the public listener.
    tls: Option<ServerTls>,
}

impl Service {
    fn assemble(
        plan: Plan,
        issuer: &IssuerUrl,
        foundation: &Foundation,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let Plan { config, blueprint, foreign, resources, local_times, client, tls, .. } = plan;
        let ours = surroundings(issuer);
        let folder = issuer_keys(&config.store);
        let evidence = blueprint.issuer_settings(&ours)?;
        let clients = blueprint.clients();
        let issuers = foundation.issuers(folder.clone(), evidence, &client, Issuers::sharing)?;
        let pins = Arc::new(Pins {
            store: Arc::clone(&foundation.store),
            ledger: foundation.ledger.clone(),
            revocations: Arc::clone(&foundation.revocations),
        });
        let attestors = Arc::new(blueprint.build(&issuers, &ours, Some(&pins))?);
        let resources = Arc::new(resources.of_issuer(issuer)?);
        let ourselves = Audience::parse(issuer.as_str())?;
        // In a folder of their own: an issuer of subjects may have the name of a trust provider.
        let presented = foreign.settings(&ourselves, &resources);
        let presented = foundation.issuers(folder.join("subjects"), presented, &client, Issuers::new)?;
        let own = Arc::new(foundation.own_tokens(issuer));
        let foreign = foreign.build(&ForeignSurroundings {
            issuers: &presented,
            ourselves: &ourselves,
            resources: &resources,
            outbound: &client,
            keys: &foundation.keys,
            metrics: &metrics.introspections,
        })?;
        let metadata = Arc::new(Metadata::new(issuer, &resources.scopes(), &plan.schedule.algorithms));
        let labels_name = mention_labels(&config);
        let policies = Arc::new(Policies::new(config.policies, local_times.names(), plan.policies));
        foundation.follow_pods(&attestors, &pins, (&policies, labels_name));
        let inquirer = Arc::new(Inquirer {
            resources,
            groups: plan.groups,
            local_times,
            most_targets: usize::try_from(config.limits.targets).unwrap_or(usize::MAX),
        });
        let service = TokenService {
            clock: Arc::clone(&foundation.clock),
            proofs: Proofs::new(token_endpoint(issuer)),
            attestors: Arc::clone(&attestors),
            subjects: Subjects { own: Arc::clone(&own), foreign },
            revocations: Arc::clone(&foundation.revocations),
            inquirer: Arc::clone(&inquirer),
            policies: Arc::clone(&policies),
            mint: Mint::new(issuer.clone(), Arc::clone(&foundation.keys)),
            audit: foundation.audit(&metrics.token),
        };
        let gate = Arc::new(Gate::new(&config.limits));
        let proxies = Arc::new(Proxies::new(&config.listen));
        let door = Door::new(Arc::clone(&gate), Arc::clone(&proxies), Arc::clone(&foundation.clock));
        let status = Arc::new(StatusRoute::new(issuer, status_parts(foundation, &own, (gate, proxies)))?);
        let keys = Arc::clone(&foundation.keys);
        let inspector = inspector(
            (issuer, &config.limits),
            foundation,
            (attestors, inquirer, Arc::clone(&policies), own),
        );
        let clock = Arc::clone(&foundation.clock);
        let inspect = Arc::new(InspectRoutes { inspector, door: door.clone(), clock });
        let token = Arc::new(TokenRoute { service, door, metrics: metrics.token.clone() });
        Ok(Self { public: Public { metadata, keys, token, inspect, status }, policies, clients, tls })
    }

    fn serve(
        self,
        serving: &Serving<'_>,
        foundation: &Foundation,
        (public, attest, admin_api): (Bound, Option<Bound>, Option<Bound>),
    ) {
        let Self { public: served, policies, clients, tls } = self;
        let token = Arc::clone(&served.token);
        let attestors = Arc::clone(&token.service.attestors);
        let router = routes::public(served);
        serving.server("public", public).tls(tls).serve(router.clone(), serving.lifecycle);
        if let Some(attest) = attest {
            let own =
                OwnDecisions { store: Arc::clone(&foundation.store), policies: Arc::clone(&policies), token };
            let router = router.merge(routes::own(Arc::new(own)));
            serving.server("attest", attest).serve(router, serving.lifecycle);
        }
        if let Some(admin_api) = admin_api {
            let store = Arc::clone(&foundation.store);
            let operators = Operators::of_process();
            let revocations = Arc::new(RevocationRoutes {
                operators,
                revocations: Arc::clone(&foundation.revocations),
                ledger: foundation.ledger.clone(),
                store: Arc::clone(&store),
                clock: Arc::clone(&foundation.clock),
                clients,
            });
            let unrecorded = Arc::clone(&foundation.unrecorded);
            let desk = foundation.key_desk.clone();
            let clock = Arc::clone(&foundation.clock);
            let router = routes::admin(
                Arc::new(Decisions { store, unrecorded, policies, operators }),
                revocations,
                Arc::new(KeysRoute { desk, operators }),
                Arc::new(EvidenceRoute::new(attestors, operators, clock)),
            );
            serving.server("admin_socket", admin_api).serve(router, serving.lifecycle);
        }
    }
}
