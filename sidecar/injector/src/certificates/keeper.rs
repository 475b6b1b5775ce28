//! The task of `tls.mode: self`: looks at Secret and webhook configuration, and does what is due.
//! With the API server away it goes on with the authorities that it knows, and nobody calls us meanwhile.

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use symbolon_daemon::{BlockReady, Clock, Lifecycle};
use symbolon_http::tls::{ServerTls, TlsError};
use symbolon_kept::{ApiError, ApiServer, Authority, IssueError, Leaf, Seen};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::bundle;
use crate::config::SelfConfig;
use crate::metrics::Metrics;

/// How often in a row somebody else may be faster before we wait for the next look.
const ATTEMPTS: usize = 5;
/// What our authorities are called.
const OWNER: &str = "Symbolon injector";

/// Keeps the webhook's certificate, its authority and the `caBundle` in step.
#[derive(Debug)]
pub(crate) struct Keeper {
    config: SelfConfig,
    api: ApiServer,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    tls: ServerTls,
    known: Vec<Authority>,
    seen: Seen,
    /// What is shown now, and by which authority.
    shown: Option<(String, Leaf)>,
    waiting: Option<BlockReady>,
}

/// Why the certificates are not what they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("an object of the API server has no `resourceVersion`")]
    NoVersion,
    #[error("other replicas were faster {ATTEMPTS} times in a row")]
    Busy,
}

impl Keeper {
    /// A keeper that shows nothing yet: until its first look, TLS has a certificate that nobody believes.
    pub(crate) fn new(
        config: SelfConfig,
        api: ApiServer,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, KeepError> {
        let now = clock.unix_seconds();
        let nobody = Authority::make(OWNER, now, config.certificate_lifetime.as_duration())?;
        let leaf = nobody.issue(&names(&config), now, config.certificate_lifetime.as_duration())?;
        let tls = ServerTls::from_pem(leaf.certificate.as_bytes(), leaf.key.expose_secret().as_bytes())?;
        let (known, seen) = (Vec::new(), Seen::default());
        Ok(Self { config, api, clock, metrics, tls, known, seen, shown: None, waiting: None })
    }

    /// The TLS whose certificate is kept.
    pub(crate) fn tls(&self) -> ServerTls {
        self.tls.clone()
    }

    /// Holds readiness back until the API server believes what we show.
    pub(crate) fn holding(mut self, waiting: BlockReady) -> Self {
        self.waiting = Some(waiting);
        self
    }

    /// Looks and does what is due, again and again, until the program ends.
    pub(crate) async fn run(mut self, lifecycle: Lifecycle) {
        let mut ticks = interval_at(Instant::now(), self.config.interval.as_duration());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = lifecycle.shutting_down();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    /// One look.
    pub(crate) async fn look(&mut self) {
        if let Err(error) = self.agree().await {
            self.metrics.api_failures.inc();
            let error = symbolon_program::chain(&error);
            tracing::warn!(
                event.name = "certificates.not_agreed",
                error,
                "going on with the certificates that are known"
            );
        }
        match self.show() {
            Ok(true) => drop(self.waiting.take()),
            Ok(false) => {}
            Err(error) => {
                let error = symbolon_program::chain(&error);
                tracing::error!(event.name = "certificates.failed", error, "cannot renew the certificate");
            }
        }
    }

    /// Agrees with the other replicas on the authorities, and sees to it that the API server believes them.
    async fn agree(&mut self) -> Result<(), KeepError> {
        for _ in 0..ATTEMPTS {
            match self.agree_once().await {
                Err(KeepError::Api(error)) if error.is_conflict() => {
                    tracing::debug!(event.name = "certificates.conflict", %error, "another replica was faster");
                }
                done => return done,
            }
        }
        Err(KeepError::Busy)
    }

    /// The order matters. The configuration is read first and patched last, at the version that was read: so a bundle
    /// is never written from a Secret that is older than the bundle, and nobody takes back what another added.
    async fn agree_once(&mut self) -> Result<(), KeepError> {
        let (configuration_at, secret_at) = self.paths();
        let now = self.clock.unix_seconds();
        let configuration = self.api.get(&configuration_at).await?;
        let mut secret = self.api.get(&secret_at).await?;
        let mut authorities = symbolon_kept::read(&secret);
        if let Some(due) =
            symbolon_kept::due(OWNER, &authorities, now, self.config.authority_lifetime.as_duration())?
        {
            symbolon_kept::write(&mut secret, &due);
            self.api.put(&secret_at, &secret).await?;
            tracing::info!(
                event.name = "certificates.authorities",
                count = due.len(),
                "the authorities have changed"
            );
            authorities = due;
        }
        let changes = bundle::changes(&configuration, &authorities);
        if !changes.is_empty() {
            let version = configuration.pointer("/metadata/resourceVersion").and_then(Value::as_str);
            let operations: Vec<Value> = changes.iter().map(|operation| json!(operation)).collect();
            self.api.patch(&configuration_at, version.ok_or(KeepError::NoVersion)?, &operations).await?;
            tracing::info!(
                event.name = "certificates.published",
                webhooks = changes.len(),
                "the bundle has changed"
            );
        }
        self.seen.note(&authorities, now);
        self.known = authorities;
        Ok(())
    }

    /// Shows a certificate of the right authority that is fresh enough. Says whether there is one.
    fn show(&mut self) -> Result<bool, KeepError> {
        let now = self.clock.unix_seconds();
        let Some(by) = self.seen.serving(&self.known, now, self.config.settle.as_duration()) else {
            return Ok(false);
        };
        let fresh = self.shown.as_ref();
        if fresh.is_some_and(|(authority, leaf)| *authority == by.certificate && now < leaf.renewed) {
            return Ok(true);
        }
        let leaf = by.issue(&names(&self.config), now, self.config.certificate_lifetime.as_duration())?;
        self.tls.replace_pem(leaf.certificate.as_bytes(), leaf.key.expose_secret().as_bytes())?;
        self.metrics.certificate_expiry.set(i64::try_from(leaf.ends).unwrap_or(i64::MAX));
        self.metrics.authority_expiry.set(i64::try_from(by.ends).unwrap_or(i64::MAX));
        tracing::info!(
            event.name = "certificates.shown",
            expires_unix_seconds = leaf.ends,
            "a new certificate is shown"
        );
        self.shown = Some((by.certificate.clone(), leaf));
        Ok(true)
    }

    fn paths(&self) -> (String, String) {
        let SelfConfig { namespace, secret, webhook_configuration, .. } = &self.config;
        (
            format!(
                "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{webhook_configuration}"
            ),
            format!("/api/v1/namespaces/{namespace}/secrets/{secret}"),
        )
    }
}

/// The names by which an API server calls a Service, and further ones.
fn names(config: &SelfConfig) -> Vec<String> {
    let service = format!("{}.{}.svc", config.service, config.namespace);
    [service].into_iter().chain(config.names.iter().cloned()).collect()
}

#[cfg(test)]
mod tests;
