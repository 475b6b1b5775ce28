//! Configuration, read and checked: all that start-up does before anything listens.
//! Not here: sockets, the store, tasks (`app`).

use std::path::Path;
use std::sync::Arc;

use symbolon_config::{ConfigErrors, Environment};
use symbolon_daemon::{Clock, SystemClock};
use symbolon_http::client::{AddressPolicy, GuardedClient};
use symbolon_http::tls::ServerTls;
use symbolon_identity::{IssuerUrl, Timestamp};
use symbolon_issuers::{Issuers, KeyPolicy};
use symbolon_policies::LocalTimes;

use crate::attest::{Blueprint, Surroundings};
use crate::config::Config;
use crate::findings::Findings;
use crate::groups::Groups;
use crate::keys::{Schedule, Seal};
use crate::policies::CurrentSet;
use crate::resources::Resources;
use crate::routes::token_endpoint;
use crate::subject::ForeignPlan;

/// A checked configuration with everything compiled that can be.
#[derive(Debug)]
pub struct Plan {
    pub(crate) config: Config,
    /// None if it is kept in the cluster: only a start asks for it.
    pub(crate) seal: Option<Arc<Seal>>,
    pub(crate) schedule: Schedule,
    pub(crate) blueprint: Blueprint,
    pub(crate) foreign: ForeignPlan,
    pub(crate) groups: Groups,
    pub(crate) resources: Resources,
    pub(crate) local_times: LocalTimes,
    pub(crate) policies: CurrentSet,
    pub(crate) client: GuardedClient,
    /// The certificate of the public listener.
    pub(crate) tls: Option<ServerTls>,
}

impl Plan {
    /// Reads and checks a configuration file, with its overrides and policies.
    ///
    /// # Errors
    /// All that is wrong with it, with places.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        let loaded = symbolon_config::load::<Config>(path, environment)?;
        let mut findings = Findings::default();
        let plan = Self::draw(&loaded.value, &mut findings);
        match plan {
            Some(plan) if findings.is_empty() => Ok(plan),
            _ => {
                findings.check(&loaded)?;
                Err(loaded.contradiction("", "the configuration cannot be used").into())
            }
        }
    }

    /// How the configuration says to log.
    #[must_use]
    pub fn telemetry(&self) -> symbolon_daemon::telemetry::TelemetryConfig {
        self.config.log
    }

    /// Connections at one time, of the port and the socket together.
    #[must_use]
    pub fn connections(&self) -> usize {
        let listeners = 1 + usize::from(self.config.listen.socket.is_some());
        usize::try_from(self.config.limits.connections).unwrap_or(usize::MAX).saturating_mul(listeners)
    }

    /// What is odd about a configuration that is valid, for people.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let outdated = self.tls.as_ref().and_then(ServerTls::warning);
        let outdated = outdated.map(|warning| format!("listen.tls: {}", crate::error_chain(&warning)));
        self.policies.warnings().chain(outdated)
    }

    fn draw(config: &Config, findings: &mut Findings) -> Option<Self> {
        let blueprint = Blueprint::draw(config, findings);
        let foreign = ForeignPlan::draw(config, findings);
        let groups = Groups::build(&config.groups, findings);
        let resources = Resources::build(&config.resources, findings);
        let schedule = Schedule::build(config, findings);
        check_the_rest(config, findings);
        let seal = seal(config, findings);
        check_kept(config, findings);
        let local_times = local_times(config, findings);
        let policies = policies(config, findings);
        let client = client(config, findings);
        let tls = tls(config, findings);
        if let Some(client) = &client {
            check_issuers(&blueprint, config, client, findings);
        }
        Some(Self {
            config: config.clone(),
            seal: seal?.map(Arc::new),
            schedule,
            blueprint,
            foreign,
            groups,
            resources,
            local_times: local_times?,
            policies: policies?,
            client: client?,
            tls,
        })
    }
}

/// What attestors have to know about us, under this issuer URL.
pub(crate) fn surroundings(issuer: &IssuerUrl) -> Surroundings {
    Surroundings { issuer: issuer.clone(), token_endpoint: token_endpoint(issuer) }
}

fn check_the_rest(config: &Config, findings: &mut Findings) {
    // Our routes stand below this path, where other characters have a meaning of their own.
    let path = config.issuer.as_str().splitn(4, '/').nth(3).unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    if !path.split('/').all(is_plain) && !path.is_empty() {
        findings.add("issuer", "the segments of its path are not empty, not `.` or `..`, and hold only letters, digits, `-`, `.`, `_` and `~`");
    }
    for (index, network) in config.outbound.allow.iter().enumerate() {
        if network.prefix_len() < network.max_prefix_len() && AddressPolicy::opens_special(network) {
            let problem = "opens link-local addresses or a metadata service, which gives credentials to whoever reaches it; only a single address (/32, /128) may";
            findings.add(format!("outbound.allow[{index}]"), problem);
        }
    }
    let limits = &config.limits;
    for (name, value) in [
        ("requests_per_second", limits.requests_per_second),
        ("burst", limits.burst),
        ("concurrent_requests", limits.concurrent_requests),
        ("connections", limits.connections),
        ("targets", limits.targets),
        ("given_back_per_hour", limits.given_back_per_hour),
    ] {
        if value == 0 {
            findings.add(format!("limits.{name}"), "zero would let nobody in");
        }
    }
    let listen = &config.listen;
    if listen.public == listen.admin && listen.public.port() != 0 {
        findings.add("listen.admin", "the public and the admin listener have the same address");
    }
    if listen.socket.is_some() && listen.socket == listen.admin_socket {
        findings.add("listen.admin_socket", "the attestation socket and the admin socket are the same");
    }
    for (name, socket) in [("socket", &listen.socket), ("admin_socket", &listen.admin_socket)] {
        if socket.as_ref().is_some_and(|path| path.is_relative()) {
            findings.add(format!("listen.{name}"), "the path of a socket is absolute");
        }
    }
}

/// Whether a path segment is made of unreserved characters (RFC 3986 §2.3) and is no step to elsewhere.
fn is_plain(segment: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(unreserved)
}

/// The seal, if it is not kept elsewhere.
#[expect(clippy::option_option, reason = "none, because it is wrong; or right, and kept elsewhere")]
fn seal(config: &Config, findings: &mut Findings) -> Option<Option<Seal>> {
    let store = &config.store;
    let (name, seal) = match (&store.sealing_key, &store.sealing_passphrase) {
        (Some(key), None) => ("sealing_key", Seal::from_key(key)),
        (None, Some(passphrase)) => ("sealing_passphrase", Seal::from_passphrase(passphrase)),
        (None, None) if config.kept.is_some() => return Some(None),
        _ => {
            findings.add(
                "store",
                "signing keys are sealed by exactly one of `sealing_key` and `sealing_passphrase`",
            );
            return None;
        }
    };
    seal.map(Some).map_err(|error| findings.add(format!("store.{name}"), error)).ok()
}

/// Names and times of what is kept.
fn check_kept(config: &Config, findings: &mut Findings) {
    let Some(kept) = &config.kept else { return };
    let certificate = kept.certificate.as_ref();
    let objects = [("namespace", Some(&kept.namespace)), ("secret", Some(&kept.secret))];
    let told = ("certificate.config_map", certificate.map(|certificate| &certificate.config_map));
    for (key, name) in objects.into_iter().chain([told]) {
        if name.is_some_and(|name| !is_object_name(name)) {
            findings.add(format!("kept.{key}"), "a name of Kubernetes: `a-z`, `0-9`, `-` and `.`");
        }
    }
    let Some(certificate) = certificate else { return };
    if config.listen.tls.is_some() {
        findings.add("kept.certificate", "the public listener has a certificate already, by `listen.tls`");
    }
    if config.issuer.is_plaintext() {
        findings
            .add("issuer", "it is `http:`, but with `kept.certificate` nobody can ask for anything there");
    }
    if certificate.names.is_empty() {
        findings.add("kept.certificate.names", "a certificate for no name helps nobody");
    }
    let (authority, leaf) =
        (certificate.authority_lifetime.as_duration(), certificate.certificate_lifetime.as_duration());
    if leaf.as_secs() < 3 || authority < leaf.saturating_mul(3) {
        findings.add(
            "kept.certificate.authority_lifetime",
            "at least three times `certificate_lifetime`, which is at least 3 seconds",
        );
    }
    if certificate.settle.as_duration().saturating_mul(3) > authority {
        findings.add(
            "kept.certificate.settle",
            "a new authority has to settle within a third of `authority_lifetime`",
        );
    }
    if certificate.interval.as_duration().is_zero() {
        findings.add("kept.certificate.interval", "longer than nothing");
    }
}

/// A name that can stand in a path of the API.
fn is_object_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(plain) && !text.contains("..")
}

fn local_times(config: &Config, findings: &mut Findings) -> Option<LocalTimes> {
    let unknown = |error: symbolon_policies::UnknownTimeZone| {
        findings.add(format!("local_times.{}", error.name), &error);
    };
    LocalTimes::new(&config.local_times).map_err(unknown).ok()
}

fn policies(config: &Config, findings: &mut Findings) -> Option<CurrentSet> {
    match CurrentSet::load(&config.policies, &config.local_times.keys().cloned().collect()) {
        Ok(set) => Some(set),
        Err(errors) => {
            for error in errors.iter() {
                findings.add("policies", error);
            }
            None
        }
    }
}

fn client(config: &Config, findings: &mut Findings) -> Option<GuardedClient> {
    let mut addresses = AddressPolicy::public();
    for network in &config.outbound.allow {
        addresses = addresses.allow(*network);
    }
    let evidence = config.trust_providers.iter().filter_map(|provider| provider.oidc.as_ref());
    if evidence
        .map(|oidc| oidc.dev)
        .chain(config.subject_issuers.iter().map(|issuer| issuer.dev))
        .any(|dev| dev)
    {
        addresses = addresses.allow_loopback();
    }
    let mut builder = GuardedClient::builder().addresses(addresses);
    if let Some(path) = &config.outbound.ca_file {
        builder = builder.ca_file(path);
    }
    let failed = |error: symbolon_http::client::ClientSetupError| {
        findings.add("outbound", crate::error_chain(&error));
    };
    builder.build().map_err(failed).ok()
}

/// None without a certificate, and for one that is a finding.
fn tls(config: &Config, findings: &mut Findings) -> Option<ServerTls> {
    let files = config.listen.tls.as_ref()?;
    if config.issuer.is_plaintext() {
        findings.add("issuer", "it is `http:`, but with `listen.tls` nobody can ask for anything there");
    }
    let failed = |error| findings.add("listen.tls", crate::error_chain(&error));
    ServerTls::of(files).map_err(failed).ok()
}

fn check_issuers(blueprint: &Blueprint, config: &Config, client: &GuardedClient, findings: &mut Findings) {
    let now = Timestamp::from_secs_saturating(SystemClock.unix_seconds());
    let settings = match blueprint.issuer_settings(&surroundings(&config.issuer)) {
        Ok(settings) => settings,
        Err(error) => return findings.add("trust_providers", error),
    };
    if let Err(error) = Issuers::sharing(settings, KeyPolicy::default(), client.clone(), now) {
        findings.add("trust_providers", error);
    }
}
