//! Another configuration while running: validated whole, swapped at once, or refused and the last good one kept.
//! Not here: reading it (`config.rs`), putting it to work (`house.rs`), and policies alone (`policies/reload.rs`).

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use symbolon_audit::{Event, Outcome, Record};
use symbolon_config::{Environment, Watch};
use symbolon_daemon::Lifecycle;

use crate::clock::Now;
use crate::config::{self, GatewayConfig, Planned};
use crate::house::{Builder, House};
use crate::policies::Followed;
use crate::streams::Reaper;
use crate::trail::Trail;

/// The task that follows the configuration file.
#[derive(Debug)]
pub struct Reloader {
    /// The file.
    pub path: PathBuf,
    /// The environment that it may refer to.
    pub environment: Environment,
    /// What runs now.
    pub config: GatewayConfig,
    /// Makes the next one.
    pub builder: Builder,
    /// Where the fronts look.
    pub house: Arc<ArcSwap<House>>,
    /// Where it is reported.
    pub trail: Arc<Trail>,
    /// Ends the streams of what is revoked.
    pub reaper: Reaper,
    /// When.
    pub now: Now,
}

impl Reloader {
    /// Follows SIGHUP and changes of the files until the program ends.
    pub async fn run(mut self, mut files: Vec<PathBuf>, lifecycle: Lifecycle) {
        let mut watch = Watch::new(files.clone());
        let mut asked = lifecycle.reloads();
        let end = lifecycle.shutting_down();
        tokio::pin!(end);
        let mut policies = self.follow().await;
        loop {
            tokio::select! {
                () = &mut end => return,
                () = asked.next() => {}
                () = watch.changed() => {}
                () = policies.changed() => {
                    policies.reload(&self.trail, &self.now).await;
                    continue;
                }
            }
            let mut taken = self.reload().await;
            while let Ok(read) = &taken
                && *read != files
            {
                // Other files than before: read once more, so that no change between reading and watching is missed.
                files.clone_from(read);
                watch = Watch::new(files.clone());
                taken = self.reload().await;
            }
            self.report(taken.is_ok());
            if taken.is_ok() {
                policies = self.follow().await;
            }
            if let Err(problem) = taken {
                let problem = format!("{problem:#}");
                tracing::error!(
                    event.name = "config.refused",
                    problem,
                    "the changed configuration is refused; the last good one stays"
                );
            }
        }
    }

    /// Follows the policies in force; what changed between loading and watching them is read at once.
    async fn follow(&self) -> Followed {
        let policies = Followed::new(&self.house.load().policies);
        policies.reload(&self.trail, &self.now).await;
        policies
    }

    async fn reload(&mut self) -> Result<Vec<PathBuf>, anyhow::Error> {
        let Planned { loaded, plan, warnings } = self.read().await?;
        let config = &loaded.value;
        let before = self.house.load_full();
        let same = before.keys.fit(config);
        let keys =
            if same { before.keys.clone() } else { self.builder.renewed(&before.keys, config, &plan)? };
        let house = self.builder.house(plan, keys, Some(&before))?;
        if !same {
            // Keys first, so that no request meets an issuer that was never asked.
            self.builder.refresh(&house.keys);
            self.builder.follow(config, &house.keys, &self.reaper)?;
            self.builder.tried(&house.keys).await;
            before.keys.stop.cancel();
            before.keys.feeds.iter().for_each(|feed| feed.end());
        }
        let keys = house.keys.clone();
        self.house.store(Arc::new(house));
        // Once more, for what was admitted by the old configuration while the new one's feeds already told.
        self.reaper.sweep(&keys.feeds);
        self.reaper.sweep_strangers(&keys);
        config::log_warnings(&warnings);
        if needs_restart(&self.config, config) {
            tracing::warn!(
                event.name = "config.restart_needed",
                "`listen`, `tls`, `admin`, `audit`, `token_cache`, `replay`, `limits` and `log` change only with a restart"
            );
        }
        tracing::info!(event.name = "config.reloaded", "another configuration is in effect");
        let files = loaded.files.clone();
        self.config = loaded.value;
        Ok(files)
    }

    /// Reads and checks everything, which may take longer than a thread that serves requests has.
    async fn read(&self) -> Result<Planned, anyhow::Error> {
        let (path, environment) = (self.path.clone(), self.environment.clone());
        Ok(tokio::task::spawn_blocking(move || config::load(&path, &environment)).await??)
    }

    fn report(&self, taken: bool) {
        self.trail.metrics().reloaded(taken);
        let (event, outcome) = if taken {
            (Event::ConfigReloaded, Outcome::Success)
        } else {
            (Event::ConfigRefused, Outcome::Failed)
        };
        self.trail.report(Record::new(event, self.now.now(), outcome));
    }
}

fn needs_restart(old: &GatewayConfig, new: &GatewayConfig) -> bool {
    old.listen != new.listen
        || old.tls != new.tls
        || old.admin != new.admin
        || old.audit != new.audit
        || old.token_cache != new.token_cache
        || old.replay != new.replay
        || old.limits != new.limits
        || old.log != new.log
}
