//! From the configuration as written to what runs: every contradiction is found here, with its path.
//! Not here: key sets, connections and the judge, which are made from the plan.

mod stages;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use http::Method;
use symbolon_http::forward::ForwardOptions;
use symbolon_http::server::Bind;
use symbolon_issuers::IssuerSettings;
use symbolon_policies::LocalTimes;
use symbolon_wire::paths;

use crate::config::{Findings, GatewayConfig, MatchConfig, Origin, RouteConfig};
use crate::paths::PathPattern;
use crate::policies::{PolicyFolder, PolicyFolders};
use crate::request::host_name;
use crate::routes::{Place, Route, Routes};
use crate::stages::when::Language;
use crate::streams::StreamRule;
use crate::upstream::Upstream;

pub(crate) use stages::StagePlace;
use stages::StagePlanner;

/// A configuration without contradictions.
#[derive(Debug)]
pub struct Plan {
    /// Whose tokens are accepted.
    pub issuers: Vec<IssuerSettings>,
    /// What is forwarded where.
    pub routes: Routes,
    /// What clients call us.
    pub origins: Arc<[Origin]>,
    /// How upstreams are reached, by slot.
    pub forwarding: Vec<ForwardOptions>,
    /// The policies that are asked.
    pub policies: Vec<Arc<PolicyFolder>>,
}

impl Plan {
    /// Makes the plan and adds all that is wrong to `findings`; the plan counts only if nothing was found.
    /// Policy folders are read relative to `base`.
    pub fn make(config: &GatewayConfig, base: &Path, findings: &mut Findings) -> Self {
        let issuers = issuers(config, findings);
        let mut routes = Routes::default();
        let mut forwarding = Vec::new();
        let mut names = BTreeSet::new();
        let language = Language::new();
        let mut folders = PolicyFolders::new(base, local_times(config, findings));
        for (index, route) in config.routes.iter().enumerate() {
            let path = format!("routes[{index}]");
            if !names.insert(&route.name) {
                findings.add(format!("{path}.name"), format!("`{}` is the name of two routes", route.name));
            }
            let planner = Planner { config, path: &path, route, language: &language };
            if let Some((place, finished)) = planner.finish(&mut forwarding, &mut folders, findings)
                && let Err(overlap) = routes.add(&place, &Arc::new(finished))
            {
                findings.add(format!("{path}.match"), overlap.to_string());
            }
        }
        if config.limits.streams == 0 {
            findings.add("limits.streams", "every request of an HTTP/2 connection would be refused");
        }
        check_tls(config, findings);
        let policies = folders.into_all();
        Self { issuers, routes, origins: config.origins.clone().into(), forwarding, policies }
    }
}

/// What can be said of TLS without looking at its files, which follow changes of their own.
fn check_tls(config: &GatewayConfig, findings: &mut Findings) {
    if config.tls.is_none() {
        return;
    }
    if let Bind::Unix { .. } = config.listen {
        findings.add("tls", "nobody speaks TLS on a Unix socket");
    }
    let is_plaintext = |origin: &Origin| origin.as_str().starts_with("http://");
    if !config.origins.is_empty() && config.origins.iter().all(is_plaintext) {
        findings.warn("origins", "callers come by TLS, and no origin is `https:`: no proof of theirs fits");
    }
}

fn local_times(config: &GatewayConfig, findings: &mut Findings) -> LocalTimes {
    LocalTimes::new(&config.local_times).unwrap_or_else(|error| {
        findings.add(format!("local_times.{}", error.name), error.to_string());
        LocalTimes::default()
    })
}

fn issuers(config: &GatewayConfig, findings: &mut Findings) -> Vec<IssuerSettings> {
    let (mut names, mut urls, mut domains) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut settings = Vec::new();
    for (index, issuer) in config.issuers.iter().enumerate() {
        let path = format!("issuers[{index}]");
        if !names.insert(&issuer.name) {
            findings.add(format!("{path}.name"), format!("`{}` is the name of two issuers", issuer.name));
        }
        // An issuer is found by its exact `iss`; two with one `iss` would lend each other their keys.
        if !urls.insert(&issuer.issuer) {
            findings.add(format!("{path}.issuer"), format!("`{}` is configured twice", issuer.issuer));
        }
        // Each may name any workload of its domain; two would speak for each other's.
        if let Some(domain) = &issuer.trust_domain
            && !domains.insert(domain)
        {
            findings.add(format!("{path}.trust_domain"), format!("another issuer speaks for `{domain}`"));
        }
        settings.extend(issuer.settings(&path, findings));
    }
    settings
}

/// One route on its way from written to finished.
struct Planner<'a> {
    config: &'a GatewayConfig,
    path: &'a str,
    route: &'a RouteConfig,
    language: &'a Language,
}

impl Planner<'_> {
    fn finish(
        &self,
        forwarding: &mut Vec<ForwardOptions>,
        folders: &mut PolicyFolders,
        findings: &mut Findings,
    ) -> Option<(Place, Route)> {
        let path = self.path;
        let place = self.place(&self.route.matches, findings);
        let upstream =
            findings.keep(&format!("{path}.upstream"), Upstream::plan(&self.route.upstream, forwarding));
        let stages = StagePlanner {
            config: self.config,
            route: self.route,
            route_path: path,
            matched: place.as_ref(),
            language: self.language,
        };
        let stages = stages.plan(folders, findings);
        let route = Route {
            name: self.route.name.clone(),
            stages: stages?,
            public: self.route.public,
            forward_credential: self.route.forward_credential,
            upstream: upstream?,
            streams: self.streams(findings),
        };
        Some((place?, route))
    }

    fn streams(&self, findings: &mut Findings) -> StreamRule {
        let rule = StreamRule::new(&self.route.streams, &self.config.origins);
        if rule.idle_timeout.is_zero() {
            findings.add(format!("{}.streams.idle_timeout", self.path), "every stream would end at once");
        }
        rule
    }

    fn place(&self, matches: &MatchConfig, findings: &mut Findings) -> Option<Place> {
        let path = format!("{}.match", self.path);
        let pattern = findings.keep(&format!("{path}.path"), PathPattern::parse(&matches.path));
        let begins = |with| pattern.as_ref().is_some_and(|pattern| pattern.as_str().starts_with(with));
        if begins(paths::PROTECTED_RESOURCE_METADATA) {
            findings.add(format!("{path}.path"), "the gateway itself answers there (RFC 9728)");
        }
        if begins(paths::STREAM_RENEWAL) {
            findings.add(format!("{path}.path"), "the gateway itself answers there (streams are renewed)");
        }
        let hosts = match &matches.hosts {
            None => Some(None),
            Some(hosts) => Self::each(&format!("{path}.hosts"), hosts, findings, |host| {
                (host_name(host) == Some(host))
                    .then(|| host.to_ascii_lowercase())
                    .ok_or("write a host name without port")
            })
            .map(Some),
        };
        let methods = match &matches.methods {
            None => Some(None),
            Some(methods) => Self::each(&format!("{path}.methods"), methods, findings, method_of).map(Some),
        };
        Some(Place { hosts: hosts?, pattern: pattern?, methods: methods? })
    }

    /// Reads a list of texts that must not be empty.
    fn each<T>(
        path: &str,
        texts: &[String],
        findings: &mut Findings,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<Vec<T>> {
        if texts.is_empty() {
            findings.add(path, "an empty list matches nothing; leave it out to match all");
        }
        let read_all: Vec<T> = texts
            .iter()
            .enumerate()
            .filter_map(|(index, text)| findings.keep(&format!("{path}[{index}]"), read(text)))
            .collect();
        (!texts.is_empty() && read_all.len() == texts.len()).then_some(read_all)
    }
}

fn method_of(text: &str) -> Result<Method, &'static str> {
    if matches!(text, "CONNECT" | "TRACE" | "TRACK") {
        return Err("CONNECT, TRACE and TRACK are not forwarded");
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("methods are written in upper case");
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| "this is not a method")
}
