//! Follows the files of a listener's certificate: a good pair takes effect, a bad one leaves the last good one in force.
//! Not here: what a good pair is (`pair.rs`), and readiness, which it never changes.

use std::error::Error;
use std::time::Duration;

use symbolon_config::Watch;
use symbolon_daemon::{Clock, Lifecycle, SystemClock};

use super::{ServerTls, TlsError};
use crate::server::CertificateMetrics;

/// Of two files one may be written before the other: so often, and with such pauses, a bad pair is read again.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// How often an expired certificate is told.
const REMIND: Duration = Duration::from_hours(1);

/// Follows the certificate of one listener.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) tls: ServerTls,
    pub(crate) listener: &'static str,
    pub(crate) metrics: CertificateMetrics,
}

impl Follower {
    /// Follows the files and SIGHUP, or what the program replaces itself, until the program ends.
    pub(crate) fn start(self, lifecycle: &Lifecycle) {
        self.metrics.expiry.set(self.tls.expiry());
        let files = self.tls.files().into_iter();
        let files = files.flat_map(|files| [files.certificate_file.clone(), files.key_file.clone()]);
        let mut watch = Watch::new(files);
        let (mut asked, mut replaced) = (lifecycle.reloads(), self.tls.replacements());
        lifecycle.spawn_background("certificate_reload", async move {
            // What changed between loading and the first look of the watch would otherwise never be seen.
            self.reload().await;
            loop {
                self.remind();
                tokio::select! {
                    () = watch.changed() => self.reload().await,
                    () = asked.next() => self.reload().await,
                    // INVARIANT: the certificate is ours too, so its sender lives.
                    _ = replaced.changed() => self.count(),
                    // A pair that was refused, as one that is not valid yet, may be good by now.
                    () = tokio::time::sleep(self.until_the_next_reminder()) => self.reload().await,
                }
            }
        });
    }

    async fn reload(&self) {
        if let Some(Err(error)) = self.settled().await {
            self.metrics.refused.inc();
            let (listener, problem) = (self.listener, told(&error));
            tracing::error!(
                event.name = "tls.certificate_refused",
                listener,
                problem,
                "the changed certificate or key is refused; the last good pair stays"
            );
        }
    }

    fn count(&self) {
        self.metrics.loaded.inc();
        self.metrics.expiry.set(self.tls.expiry());
        let (listener, expiry) = (self.listener, self.tls.expiry());
        tracing::info!(
            event.name = "tls.certificate_replaced",
            listener,
            expiry_timestamp_seconds = expiry,
            "new connections get another certificate"
        );
    }

    /// What became of the files, once they are good or stay bad.
    async fn settled(&self) -> Option<Result<bool, TlsError>> {
        let mut looks = 0;
        loop {
            let tls = self.tls.clone();
            let outcome = tokio::task::spawn_blocking(move || tls.reload()).await.ok()?;
            if outcome.is_ok() || looks == LOOKS {
                return Some(outcome);
            }
            looks = looks.saturating_add(1);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn remind(&self) {
        if let Some(warning) = self.tls.warning() {
            let (listener, problem) = (self.listener, told(&warning));
            tracing::error!(
                event.name = "tls.certificate_out_of_date",
                listener,
                problem,
                "clients refuse the certificate that is served"
            );
        }
    }

    /// Until the certificate expires, but not for long: clocks are set, and laptops sleep.
    fn until_the_next_reminder(&self) -> Duration {
        let expiry = u64::try_from(self.tls.expiry()).unwrap_or_default();
        match expiry.saturating_add(1).checked_sub(SystemClock.unix_seconds()) {
            None | Some(0) => REMIND,
            Some(left) => REMIND.min(Duration::from_secs(left)),
        }
    }
}

/// An error with what caused it.
fn told(error: &TlsError) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}
