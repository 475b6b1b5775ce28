//! The composition root of the webhook: the only file that knows every collaborator.
//! Preparing opens no socket and asks nobody, so that `config validate` can do it too.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use http::Request;
use serde::Serialize;
use symbolon_daemon::{Clock, Lifecycle, Readiness, Registry};
use symbolon_http::Body;
use symbolon_http::admin::Admin;
use symbolon_http::server::{Bind, BindError, Limits, Server, ServerMetrics};
use symbolon_http::tls::{ServerTls, TlsError};
use symbolon_kept::ApiServer;

use crate::certificates::{Files, Keeper};
use crate::config::Native;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::version;
use crate::webhook::{MAX_BODY, Webhook};

/// A webhook that has everything but its sockets.
#[derive(Debug)]
pub struct Injector {
    settings: Arc<ArcSwap<Settings>>,
    lifecycle: Lifecycle,
    readiness: Readiness,
    registry: Registry,
    servers: ServerMetrics,
    metrics: Metrics,
    certificates: Certificates,
}

#[derive(Debug)]
enum Certificates {
    Own(Box<Keeper>),
    Files(Files),
}

/// Where a running webhook listens; what `--ready-file` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The webhook, with TLS.
    pub webhook: String,
    /// Health and metrics.
    pub admin: String,
}

/// Why the webhook does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate's files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No certificate can be made: a name in the configuration is none.
    #[error("cannot make a certificate for the names in `webhook.tls.self`")]
    Certificate,
    /// An address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl StartError {
    /// Whether the configuration is to blame, rather than the machine at this moment.
    #[must_use]
    pub const fn is_invalid_configuration(&self) -> bool {
        match self {
            Self::Tls(_) | Self::Certificate => true,
            Self::Bind(_) => false,
        }
    }
}

impl Injector {
    /// Prepares a webhook that will live under `lifecycle`.
    ///
    /// # Errors
    /// A file that the configuration names is missing or unusable.
    pub fn prepare(
        settings: Settings,
        lifecycle: Lifecycle,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let readiness = Readiness::new();
        let lifecycle = lifecycle.with_readiness(readiness.clone());
        let mut registry = Registry::new();
        let servers = ServerMetrics::default();
        servers.register(&mut registry);
        lifecycle.register(&mut registry);
        registry.register_build("symbolon-injector", env!("CARGO_PKG_VERSION"));
        let metrics = Metrics::register(&mut registry);
        let tls = &settings.webhook.tls;
        let certificates = if let Some(files) = &tls.files {
            Certificates::Files(Files::load(files.clone())?)
        } else {
            let api = ApiServer::new(settings.webhook.api.clone());
            let keeper = Keeper::new(tls.own.clone(), api, clock, metrics.clone());
            let keeper = keeper.map_err(|_| StartError::Certificate)?;
            Certificates::Own(Box::new(keeper.holding(readiness.block("the webhook's certificate"))))
        };
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        Ok(Self { settings, lifecycle, readiness, registry, servers, metrics, certificates })
    }

    /// Binds both listeners, then serves, from within a tokio runtime.
    ///
    /// # Errors
    /// An address is taken or not ours to take; nothing is served then.
    pub fn start(self) -> Result<Addresses, StartError> {
        let settings = self.settings.load_full();
        let bound = Bind::Tcp(settings.webhook.listen).listen()?;
        let admin = Bind::Tcp(settings.webhook.admin).listen()?;
        let addresses =
            Addresses { webhook: bound.address().to_string(), admin: admin.address().to_string() };
        let native = self.learn_version(&settings);
        let webhook = Arc::new(Webhook { settings: self.settings, native, metrics: self.metrics });
        let answer = move |request: Request<Body>| {
            let webhook = Arc::clone(&webhook);
            async move { Ok::<_, Infallible>(webhook.answer(request).await) }
        };
        let tls = keep(self.certificates, &self.lifecycle);
        Server::new("webhook", bound)
            .limits(limits())
            .tls(tls)
            .metrics(self.servers.clone())
            .serve(tower::service_fn(answer), &self.lifecycle);
        let health = Admin::new(Readiness::new(), self.readiness, Arc::new(self.registry));
        Server::new("admin", admin).metrics(self.servers).serve(health, &self.lifecycle);
        Ok(addresses)
    }

    /// The lifecycle under which it lives, with the readiness that the drain blocks.
    #[must_use]
    pub const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Where the settings in force are, for whoever replaces them; and what to count then.
    pub(crate) fn replaceable(&self) -> (Arc<ArcSwap<Settings>>, Metrics) {
        (Arc::clone(&self.settings), self.metrics.clone())
    }

    fn learn_version(&self, settings: &Settings) -> Arc<AtomicBool> {
        let native = Arc::new(AtomicBool::new(settings.native != Native::Never));
        if settings.native == Native::Auto {
            let api = ApiServer::new(settings.webhook.api.clone());
            let waiting = self.readiness.block("the API server's version");
            let learn = version::learn(api, Arc::clone(&native), self.metrics.clone(), waiting);
            self.lifecycle.spawn_background("version", learn);
        }
        native
    }
}

fn keep(certificates: Certificates, lifecycle: &Lifecycle) -> ServerTls {
    match certificates {
        Certificates::Own(keeper) => {
            let tls = keeper.tls();
            lifecycle.spawn_background("certificates", keeper.run(lifecycle.clone()));
            tls
        }
        Certificates::Files(files) => {
            let tls = files.tls();
            lifecycle.spawn_background("certificates", files.run(lifecycle.clone()));
            tls
        }
    }
}

/// Questions come from a few API servers, and whoever else reaches us gets no more than this.
fn limits() -> Limits {
    Limits {
        max_connections: 256,
        max_requests: Some(64),
        max_body_bytes: u64::try_from(MAX_BODY).ok(),
        max_head_bytes: 16 * 1024,
        connection_window: 1024 * 1024,
        ..Limits::default()
    }
}
