//! Other settings while running: validated whole, swapped at once, or refused and the last good ones kept.
//! Listeners and certificates are not changed: they are of the start.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use symbolon_config::{ConfigErrors, Environment, Watch, load};
use symbolon_daemon::Lifecycle;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// The task that follows the configuration.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) path: PathBuf,
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) metrics: Metrics,
}

/// Reads the configuration and all that it names.
pub(crate) fn read(path: &std::path::Path) -> Result<Settings, ConfigErrors> {
    Settings::new(&load::<Config>(path, &Environment::of_process())?)
}

impl Reloader {
    /// Follows SIGHUP and changes of the files until the program ends.
    pub(crate) async fn run(self, lifecycle: Lifecycle) {
        let mut files = self.settings.load().files.clone();
        let mut watch = Watch::new(files.clone());
        let mut asked = lifecycle.reloads();
        let end = lifecycle.shutting_down();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = asked.next() => {}
                () = watch.changed() => {}
            }
            let mut taken = self.take();
            if taken && self.settings.load().files != files {
                // Other files than before: read once more, so that no change between reading and watching is missed.
                files.clone_from(&self.settings.load().files);
                watch = Watch::new(files.clone());
                taken = self.take();
            }
            self.metrics.reloaded(taken);
        }
    }

    fn take(&self) -> bool {
        match read(&self.path) {
            Ok(settings) => {
                tracing::info!(
                    event.name = "config.taken",
                    status = settings.status,
                    "the changed configuration is in force"
                );
                self.settings.store(Arc::new(settings));
                true
            }
            Err(errors) => {
                let problem = errors.to_string();
                tracing::error!(
                    event.name = "config.refused",
                    problem,
                    "the changed configuration is refused; the last good one stays"
                );
                false
            }
        }
    }
}
