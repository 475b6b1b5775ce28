//! From what an operator wrote to what the injector works with: contradictions end here.
//! It reads the files that travel into pods, and opens no socket, so that `config validate` can do the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use symbolon_config::{ConfigError, ConfigErrors, Loaded};
use symbolon_daemon::telemetry::{LogLevel, TelemetryConfig};
use symbolon_identity::{Audience, IssuerUrl, ProviderName, UpstreamName};

use crate::config::{Config, Native, PullPolicy, SidecarConfig, WebhookConfig};

mod certificates;
mod check;
mod folder;
pub(crate) mod quantity;
mod upstream;

pub(crate) use upstream::Upstream;

/// Everything the injector has to know, without contradictions.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) template: Template,
    pub(crate) native: Native,
    pub(crate) max_containers: usize,
    pub(crate) webhook: WebhookConfig,
    /// Which of our versions and settings a pod was injected by.
    pub(crate) status: String,
    /// The files that went into it, for a watch.
    pub files: Vec<PathBuf>,
    /// How to log.
    pub log: TelemetryConfig,
}

/// What pods are made of: all that reaches one, and so all that the digest is over.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Template {
    pub(crate) sidecar: Sidecar,
    pub(crate) broker: IssuerUrl,
    /// The certificates that vouch for the broker, PEM.
    pub(crate) ca: Option<String>,
    pub(crate) audience: Audience,
    pub(crate) expiration_seconds: u64,
    pub(crate) provider: Option<ProviderName>,
    pub(crate) upstreams: BTreeMap<UpstreamName, Upstream>,
    pub(crate) default_upstreams: Vec<UpstreamName>,
}

/// The container, as far as pods do not say otherwise.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sidecar {
    pub(crate) image: String,
    pub(crate) images: Vec<String>,
    pub(crate) pull_policy: PullPolicy,
    pub(crate) user: u32,
    pub(crate) health: SocketAddr,
    pub(crate) log_level: LogLevel,
    pub(crate) cpu_request: String,
    pub(crate) memory_request: String,
    pub(crate) memory_limit: String,
}

impl Settings {
    /// Checks that the parts of the configuration fit together, and reads the files that it names.
    ///
    /// # Errors
    /// Every contradiction found, each with its place in the file; or a file that cannot be used.
    pub fn new(loaded: &Loaded<Config>) -> Result<Self, ConfigErrors> {
        let config = &loaded.value;
        let mut files = loaded.files.clone();
        let mut errors = check::all(loaded);
        let ca = certificates::read(loaded, &mut files, &mut errors);
        let upstreams = folder::all_upstreams(loaded, &mut files)?;
        let upstreams = upstream::check(loaded, &upstreams, &mut errors);
        check::defaults(loaded, &upstreams, &mut errors);
        let sidecar = sidecar(loaded, &config.sidecar, &mut errors);
        ConfigErrors::check(errors)?;
        let audience = match &config.evidence.audience {
            Some(audience) => audience.clone(),
            None => Audience::parse(config.broker.url.as_str())
                .map_err(|error| loaded.contradiction("broker.url", error.to_string()))?,
        };
        let template = Template {
            sidecar,
            broker: config.broker.url.clone(),
            ca,
            audience,
            expiration_seconds: Duration::from(config.evidence.expiration).as_secs(),
            provider: config.evidence.provider.clone(),
            upstreams,
            default_upstreams: config.default_upstreams.clone(),
        };
        Ok(Self {
            status: template.status(),
            template,
            native: config.sidecar.native,
            max_containers: config.max_containers,
            webhook: config.webhook.clone(),
            files,
            log: config.log,
        })
    }
}

impl Template {
    /// `injected@VERSION sha256:…`: pods that show the same were injected alike, but for their own annotations.
    fn status(&self) -> String {
        // INVARIANT: names, texts and numbers always serialise.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
        let first = digest.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        format!("injected@{} sha256:{first:016x}", env!("CARGO_PKG_VERSION"))
    }
}

fn sidecar(loaded: &Loaded<Config>, config: &SidecarConfig, errors: &mut Vec<ConfigError>) -> Sidecar {
    let mut amount = |key: &str, text: &str, read: fn(&str) -> Option<String>, like: &str| {
        read(text).unwrap_or_else(|| {
            let message = format!("an amount such as {like}");
            errors.push(loaded.contradiction(&format!("sidecar.{key}"), message));
            String::new()
        })
    };
    let cpu_request = amount("cpu_request", &config.cpu_request, quantity::cpu, "`5m` or `1`");
    let memory = "`16Mi` or `1Gi`";
    let memory_request = amount("memory_request", &config.memory_request, quantity::memory, memory);
    let memory_limit = amount("memory_limit", &config.memory_limit, quantity::memory, memory);
    if quantity::memory_in_mebibytes(&memory_request) > quantity::memory_in_mebibytes(&memory_limit) {
        errors.push(loaded.contradiction("sidecar.memory_request", "more than `memory_limit`"));
    }
    Sidecar {
        image: config.image.clone(),
        images: config.images.clone(),
        pull_policy: config.pull_policy,
        user: config.user,
        health: config.health,
        log_level: config.log_level,
        cpu_request,
        memory_request,
        memory_limit,
    }
}

#[cfg(test)]
mod tests;
