//! From the configuration as written to what runs: every contradiction is found here, with its path.
//! Not here: key sets, connections and the judge, which are made from the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{HeaderValue, Method};
use symbolon_http::forward::ForwardOptions;
use symbolon_identity::{Audience, IssuerName, Scopes};
use symbolon_issuers::IssuerSettings;
use symbolon_wire::paths;

use crate::challenge::Challenge;
use crate::config::{
    Binding, Findings, GatewayConfig, IssuerConfig, MatchConfig, Origin, RouteConfig, VerifyConfig,
};
use crate::metadata::{self, Described};
use crate::paths::PathPattern;
use crate::request::host_name;
use crate::routes::{Place, Route, Routes, VerifyRule};
use crate::streams::StreamRule;
use crate::upstream::Upstream;

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
}

impl Plan {
    /// Makes the plan and adds all that is wrong to `findings`; the plan counts only if nothing was found.
    pub fn make(config: &GatewayConfig, findings: &mut Findings) -> Self {
        let issuers = issuers(config, findings);
        let mut routes = Routes::default();
        let mut forwarding = Vec::new();
        let mut names = BTreeSet::new();
        for (index, route) in config.routes.iter().enumerate() {
            let path = format!("routes[{index}]");
            if !names.insert(&route.name) {
                findings.add(format!("{path}.name"), format!("`{}` is the name of two routes", route.name));
            }
            let planner = Planner { config, path: &path, route };
            if let Some((place, finished)) = planner.finish(&mut forwarding, findings)
                && let Err(overlap) = routes.add(&place, &Arc::new(finished))
            {
                findings.add(format!("{path}.match"), overlap.to_string());
            }
        }
        if config.limits.streams == 0 {
            findings.add("limits.streams", "every request of an HTTP/2 connection would be refused");
        }
        Self { issuers, routes, origins: config.origins.clone().into(), forwarding }
    }
}

fn issuers(config: &GatewayConfig, findings: &mut Findings) -> Vec<IssuerSettings> {
    let (mut names, mut urls) = (BTreeSet::new(), BTreeSet::new());
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
        settings.extend(issuer.settings(&path, findings));
    }
    settings
}

/// One route on its way from written to finished.
struct Planner<'a> {
    config: &'a GatewayConfig,
    path: &'a str,
    route: &'a RouteConfig,
}

impl Planner<'_> {
    fn finish(
        &self,
        forwarding: &mut Vec<ForwardOptions>,
        findings: &mut Findings,
    ) -> Option<(Place, Route)> {
        let path = self.path;
        let place = self.place(&self.route.matches, findings);
        let upstream =
            findings.keep(&format!("{path}.upstream"), Upstream::plan(&self.route.upstream, forwarding));
        let verify = match self.route.stages.as_slice() {
            [] if self.route.public => Some(None),
            [] => {
                let message =
                    "no `verify` stage: every request would be refused; add one or say `public: true`";
                findings.add(path, message);
                None
            }
            [stage] => self.rule(&stage.verify, place.as_ref(), findings).map(Some),
            [_, _, ..] => {
                findings.add(format!("{path}.stages[1]"), "a route verifies once");
                None
            }
        };
        let route = Route {
            name: self.route.name.clone(),
            verify: verify?,
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
        if pattern
            .as_ref()
            .is_some_and(|pattern| pattern.as_str().starts_with(paths::PROTECTED_RESOURCE_METADATA))
        {
            findings.add(format!("{path}.path"), "the gateway itself answers there (RFC 9728)");
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

    fn rule(
        &self,
        verify: &VerifyConfig,
        place: Option<&Place>,
        findings: &mut Findings,
    ) -> Option<VerifyRule> {
        let issuers = self.trusted(verify, findings);
        let Some(resource) = &self.route.resource else {
            findings.add(self.path, "`verify` needs `resource`: what the token's `aud` must hold");
            return None;
        };
        for issuer in &issuers {
            if !issuer.audiences.contains(resource) {
                let message =
                    format!("`{resource}` is not among the `audiences` of issuer `{}`", issuer.name);
                findings.add(format!("{}.resource", self.path), message);
            }
        }
        if self.config.origins.is_empty() {
            findings.add(
                "origins",
                "proofs are compared with `origins`: name at least one, such as `https://api.example.com`",
            );
        }
        let scopes: Scopes = verify.scopes.iter().cloned().collect();
        let accepts_bearer = issuers.iter().any(|issuer| issuer.binding == Binding::WhenBound);
        let metadata_url = place.and_then(|place| Some(metadata::url(self.origin(place)?, &place.pattern)));
        let audience_header =
            findings.keep(&format!("{}.resource", self.path), HeaderValue::try_from(resource.as_str()))?;
        let described =
            Described { resource, issuers: &issuers, scopes: &scopes, bound_only: !accepts_bearer };
        Some(VerifyRule {
            audience_header,
            issuers: issuers.iter().map(|issuer| issuer.trusted()).collect(),
            challenge: Challenge::new(
                &metadata::proof_algorithms().join(" "),
                accepts_bearer,
                &scopes,
                metadata_url.as_deref(),
            ),
            metadata: metadata::document(&described),
            resource: Audience::clone(resource),
            scopes,
        })
    }

    fn trusted(&self, verify: &VerifyConfig, findings: &mut Findings) -> Vec<&IssuerConfig> {
        let path = format!("{}.stages[0].verify.issuers", self.path);
        if verify.issuers.is_empty() {
            findings.add(&path, "a route without issuers admits nobody; name at least one");
        }
        let mut trusted = Vec::new();
        for (index, name) in verify.issuers.iter().enumerate() {
            match self.config.issuers.iter().find(|issuer| issuer.name == *name) {
                Some(issuer) => trusted.push(issuer),
                None => findings.add(format!("{path}[{index}]"), self.unknown(name)),
            }
        }
        trusted
    }

    fn unknown(&self, name: &IssuerName) -> String {
        let known = self.config.issuers.iter().map(|issuer| issuer.name.as_str());
        match symbolon_config::nearest(name.as_str(), known) {
            Some(nearest) => format!("there is no issuer `{name}`, did you mean `{nearest}`?"),
            None => format!("there is no issuer `{name}`"),
        }
    }

    /// What clients call this route: the origin of one of its hosts, else the first.
    fn origin(&self, place: &Place) -> Option<&Origin> {
        let hosts = place.hosts.as_deref().unwrap_or_default();
        let own = self.config.origins.iter().find(|origin| hosts.iter().any(|host| host == origin.host()));
        own.or_else(|| self.config.origins.first())
    }
}

fn method_of(text: &str) -> Result<Method, &'static str> {
    if text == "CONNECT" {
        return Err("CONNECT is not forwarded");
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("methods are written in upper case");
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| "this is not a method")
}
