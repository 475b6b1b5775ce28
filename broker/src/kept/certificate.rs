//! The certificate of the public listener: by which authority, when it is renewed, and who is told.
//! With the API server away it goes on with the authorities that it knows.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use symbolon_daemon::{Clock, Lifecycle};
use symbolon_http::tls::ServerTls;
use symbolon_kept::{Authority, Leaf, bundle, due, read, write};
use tokio::time::{MissedTickBehavior, interval};

use super::{ATTEMPTS, Kept, KeptError, put};
use crate::config::KeptCertificateConfig;

/// What our authorities are called.
const OWNER: &str = "Symbolon broker";

/// Keeps the certificate, its authority and what others are told of it in step.
#[derive(Debug)]
pub(crate) struct Certificate {
    kept: Kept,
    config: KeptCertificateConfig,
    clock: Arc<dyn Clock>,
    known: Vec<Authority>,
    /// What is shown now, and by which authority.
    shown: (String, Leaf),
    tls: ServerTls,
}

impl Certificate {
    /// A first certificate, by an authority that others are told of already.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(crate) async fn open(
        kept: Kept,
        config: KeptCertificateConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeptError> {
        let now = clock.unix_seconds();
        let known = agree(&kept, &config, now).await?;
        let by = serving(&known, &config, now).ok_or(KeptError::Busy)?;
        let leaf = by.issue(&config.names, now, config.certificate_lifetime.as_duration())?;
        let tls = ServerTls::from_pem(leaf.certificate.as_bytes(), leaf.key.expose_secret().as_bytes())?;
        let shown = (by.certificate.clone(), leaf);
        Ok(Self { kept, config, clock, known, shown, tls })
    }

    /// The TLS whose certificate is kept.
    pub(crate) fn tls(&self) -> ServerTls {
        self.tls.clone()
    }

    /// Looks and does what is due, again and again, until the program ends.
    pub(crate) async fn run(mut self, lifecycle: Lifecycle) {
        let mut ticks = interval(self.config.interval.as_duration());
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

    async fn look(&mut self) {
        let now = self.clock.unix_seconds();
        match agree(&self.kept, &self.config, now).await {
            Ok(known) => self.known = known,
            Err(error) => {
                let error = crate::error_chain(&error);
                tracing::warn!(
                    event.name = "certificate.not_agreed",
                    error,
                    "going on with the authorities that are known"
                );
            }
        }
        if let Err(error) = self.show(now) {
            let error = crate::error_chain(&error);
            tracing::error!(event.name = "certificate.failed", error, "cannot renew the certificate");
        }
    }

    fn show(&mut self, now: u64) -> Result<(), KeptError> {
        let Some(by) = serving(&self.known, &self.config, now) else { return Ok(()) };
        let (authority, leaf) = &self.shown;
        if *authority == by.certificate && now < leaf.renewed {
            return Ok(());
        }
        let leaf = by.issue(&self.config.names, now, self.config.certificate_lifetime.as_duration())?;
        self.tls.replace_pem(leaf.certificate.as_bytes(), leaf.key.expose_secret().as_bytes())?;
        tracing::info!(
            event.name = "certificate.shown",
            expires_unix_seconds = leaf.ends,
            "a new certificate is shown"
        );
        self.shown = (by.certificate.clone(), leaf);
        Ok(())
    }
}

/// Sees to it that there is an authority that lives for long enough, and that all of them are told.
async fn agree(kept: &Kept, config: &KeptCertificateConfig, now: u64) -> Result<Vec<Authority>, KeptError> {
    let told_at = format!("/api/v1/namespaces/{}/configmaps/{}", kept.config.namespace, config.config_map);
    for _ in 0..ATTEMPTS {
        match agree_once(kept, config, &told_at, now).await {
            Err(KeptError::Api(error)) if error.is_conflict() => {}
            done => return done,
        }
    }
    Err(KeptError::Busy)
}

/// An authority is kept before it is told, and told before it signs.
async fn agree_once(
    kept: &Kept,
    config: &KeptCertificateConfig,
    told_at: &str,
    now: u64,
) -> Result<Vec<Authority>, KeptError> {
    let mut secret = kept.api.get(&kept.secret_path()).await?;
    let mut authorities = read(&secret);
    if let Some(due) = due(OWNER, &authorities, now, config.authority_lifetime.as_duration())? {
        write(&mut secret, &due);
        kept.api.put(&kept.secret_path(), &secret).await?;
        tracing::info!(
            event.name = "certificate.authorities",
            count = due.len(),
            "the authorities have changed"
        );
        authorities = due;
    }
    let mut told = kept.api.get(told_at).await?;
    let bundle = bundle(&authorities);
    if told.pointer("/data/ca.crt").and_then(serde_json::Value::as_str) != Some(bundle.as_str()) {
        put(&mut told, "ca.crt", &bundle);
        kept.api.put(told_at, &told).await?;
        tracing::info!(
            event.name = "certificate.told",
            config_map = config.config_map,
            "who vouches for us has changed"
        );
    }
    Ok(authorities)
}

/// The authority to serve with: the newest that was told for long enough, else the oldest, which was told first.
fn serving<'a>(
    authorities: &'a [Authority],
    config: &KeptCertificateConfig,
    now: u64,
) -> Option<&'a Authority> {
    let settle = config.settle.as_duration().as_secs();
    let alive = || authorities.iter().filter(|authority| now < authority.ends);
    let settled = |authority: &&Authority| now.saturating_sub(authority.made) >= settle;
    alive().rev().find(settled).or_else(|| alive().next())
}
