//! From what an operator wrote to what the program works with: contradictions end here.
//! It opens no file and no socket, so that `config validate` can do the same.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use symbolon_config::{ConfigError, ConfigErrors, Loaded};
use symbolon_daemon::telemetry::TelemetryConfig;
use symbolon_evidence::SourceConfig;
use symbolon_identity::{Audience, Scopes, UpstreamName};

use crate::config::{AppAuthorization, BrokerConfig, Config, KeyConfig, LimitsConfig};

mod door;
mod target;

pub(crate) use door::Door;
pub(crate) use target::Target;

/// Everything the sidecar has to know, without contradictions.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) broker: BrokerConfig,
    pub(crate) evidence: SourceConfig,
    pub(crate) key: KeyConfig,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) endpoints: Option<Door>,
    pub(crate) health: SocketAddr,
    pub(crate) limits: LimitsConfig,
    pub(crate) start_timeout: Duration,
    /// How to log.
    pub log: TelemetryConfig,
}

/// An API that the app calls through us.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) name: UpstreamName,
    pub(crate) door: Option<Door>,
    pub(crate) target: Target,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) want: Want,
    pub(crate) app_authorization: AppAuthorization,
    pub(crate) hosts: Vec<String>,
    pub(crate) required: bool,
    pub(crate) timeout: Duration,
}

/// What to ask the broker for. Upstreams that want the same share one credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Want {
    pub(crate) audience: Audience,
    pub(crate) scopes: Scopes,
    pub(crate) allow_bearer: bool,
}

impl Settings {
    /// Checks that the parts of the configuration fit together.
    ///
    /// # Errors
    /// Every contradiction found, each with its place in the file.
    pub fn new(loaded: &Loaded<Config>) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        check_broker(loaded, &mut errors);
        let endpoints = loaded.value.listen.endpoints.as_ref();
        let endpoints =
            endpoints.and_then(|listen| Door::new(loaded, "listen.endpoints", listen, &mut errors));
        let upstreams = upstreams(loaded, &mut errors);
        check_doors(loaded, endpoints.as_ref(), &upstreams, &mut errors);
        ConfigErrors::check(errors)?;
        let config = loaded.value.clone();
        Ok(Self {
            broker: config.broker,
            evidence: config.evidence,
            key: config.key,
            upstreams,
            endpoints,
            health: config.listen.health.0,
            limits: config.limits,
            start_timeout: config.start_timeout.as_duration(),
            log: config.log,
        })
    }

    /// Connections at one time, of all doors together.
    pub(crate) fn connections(&self) -> usize {
        let doors = self.upstreams.iter().filter(|upstream| upstream.door.is_some()).count();
        self.limits.connections.saturating_mul(doors)
    }
}

fn check_broker(loaded: &Loaded<Config>, errors: &mut Vec<ConfigError>) {
    let broker = &loaded.value.broker;
    if loaded.value.evidence.needs_socket() && broker.socket.is_none() {
        let message = "`unix` evidence is the connection to the broker's socket: set `broker.socket`";
        errors.push(loaded.contradiction("evidence.unix", message));
    }
    if broker.ca_file.is_some() && (broker.socket.is_some() || broker.url.is_plaintext()) {
        let message = "nothing speaks TLS with the broker here, so `ca_file` would have no effect";
        errors.push(loaded.contradiction("broker.ca_file", message));
    }
}

fn upstreams(loaded: &Loaded<Config>, errors: &mut Vec<ConfigError>) -> Vec<Upstream> {
    let configs = &loaded.value.upstreams;
    if configs.is_empty() {
        errors.push(loaded.contradiction("upstreams", "at least one upstream is needed"));
    }
    let mut names = BTreeSet::new();
    let mut upstreams = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        let at = format!("upstreams[{index}]");
        if !names.insert(&config.name) {
            let message = format!("the upstream `{}` is defined twice", config.name);
            errors.push(loaded.contradiction(&format!("{at}.name"), message));
        }
        check_hosts(loaded, &at, &config.hosts, errors);
        let place = format!("{at}.listen");
        let door = config.listen.as_ref().and_then(|listen| Door::new(loaded, &place, listen, errors));
        let Some(target) = Target::new(loaded, &at, config, errors) else { continue };
        upstreams.push(Upstream {
            name: config.name.clone(),
            door,
            target,
            ca_file: config.ca_file.clone(),
            want: Want {
                audience: config.resource.clone(),
                scopes: config.scope.clone(),
                allow_bearer: config.allow_bearer,
            },
            app_authorization: config.app_authorization,
            hosts: config.hosts.clone(),
            required: config.required,
            timeout: config.timeout.as_duration(),
        });
    }
    upstreams
}

fn check_hosts(loaded: &Loaded<Config>, at: &str, hosts: &[String], errors: &mut Vec<ConfigError>) {
    for (index, host) in hosts.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            let message = "a host name in lower case, without port";
            errors.push(loaded.contradiction(&format!("{at}.hosts[{index}]"), message));
        }
    }
}

/// No address twice, and no upstream that nobody can reach.
fn check_doors(
    loaded: &Loaded<Config>,
    endpoints: Option<&Door>,
    upstreams: &[Upstream],
    errors: &mut Vec<ConfigError>,
) {
    let mut taken: Vec<&Door> = endpoints.into_iter().collect();
    for upstream in upstreams {
        let index = loaded.value.upstreams.iter().position(|config| config.name == upstream.name);
        let at = format!("upstreams[{}]", index.unwrap_or_default());
        match &upstream.door {
            None if loaded.value.listen.endpoints.is_none() => {
                let message = "nobody could use this upstream: give it `listen`, or set `listen.endpoints`";
                errors.push(loaded.contradiction(&at, message));
            }
            None => {}
            Some(door) if taken.iter().any(|other| other.is_same_address(door)) => {
                let message = "another listener has this address already";
                errors.push(loaded.contradiction(&format!("{at}.listen"), message));
            }
            Some(door) => taken.push(door),
        }
    }
}

#[cfg(test)]
mod tests;
