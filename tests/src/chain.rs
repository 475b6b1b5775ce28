//! Broker, sidecar and gateway in a row before APIs of the test, as an app would meet them.
//! Not here: the APIs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::issuer::TestIssuer;
use crate::machine::{free_address, uid};
use crate::programs::{Broker, Gateway, Sidecar};

const RESOURCE: &str = "https://streams.test";

/// An API of the test.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Its name, for route and upstream.
    pub name: &'static str,
    /// The paths that lead to it.
    pub path: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks HTTP/2.
    pub http2: bool,
}

/// The three programs; they end with this.
#[derive(Debug)]
pub struct Chain {
    /// Who issues.
    pub broker: Broker,
    /// Who verifies.
    pub gateway: Gateway,
    /// Who injects.
    pub sidecar: Sidecar,
    doors: BTreeMap<&'static str, SocketAddr>,
}

impl Chain {
    /// Starts the programs; tokens live for `ttl`, and each API is told the token that opened the way to it. Streams end
    /// with the token that opened them.
    ///
    /// # Panics
    /// If they do not start.
    pub async fn start(links: &[Link], ttl: &str) -> Self {
        Self::with(links, ttl, false).await
    }

    /// The same with streams that are renewed, as they are by default. The file `policies/calls.cedar` in the gateway's
    /// folder says who may call.
    ///
    /// # Panics
    /// If they do not start.
    pub async fn renewing(links: &[Link], ttl: &str) -> Self {
        Self::with(links, ttl, true).await
    }

    async fn with(links: &[Link], ttl: &str, renewal: bool) -> Self {
        let resource = format!(
            "\x20 - {{ name: streams, audience: \"{RESOURCE}\", scopes: [\"streams:use\"], default_scopes: [\"streams:use\"], binding: dpop, token_ttl: {ttl} }}\n"
        );
        let policy = format!(
            "@id(\"local-streams\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"streams\")\n\
             when {{ context.key_bound && principal has unix && principal.unix.uid == {} }};\n",
            uid()
        );
        let jwks = TestIssuer::new("client").jwks().to_string();
        let broker = Broker::start_clients(&[("client", &jwks)], &resource, &policy).await;
        let config = gateway_config(&broker, links, renewal);
        let gateway = Gateway::start(&config, &[("policies/calls.cedar", &calls(links, "permit"))]).await;
        gateway.ready().await;
        let doors: BTreeMap<_, _> = links.iter().map(|link| (link.name, free_address())).collect();
        let sidecar = Sidecar::start(&broker, &upstreams(&gateway, links, &doors)).await;
        Self { broker, gateway, sidecar, doors }
    }

    /// Where an app calls an API.
    ///
    /// # Panics
    /// If there is no API of this name.
    #[must_use]
    pub fn door(&self, name: &str) -> SocketAddr {
        self.doors[name]
    }
}

/// Policies that permit every call, or forbid it.
#[must_use]
pub fn calls(links: &[Link], effect: &str) -> String {
    let rule = |name| {
        format!(
            "@id(\"{effect}-{name}\") {effect} (principal, action == Symbolon::Action::\"call\", resource == Symbolon::Route::\"{name}\");\n"
        )
    };
    links.iter().map(|link| rule(link.name)).collect()
}

fn gateway_config(broker: &Broker, links: &[Link], renewal: bool) -> String {
    let mut text = format!(
        "issuers: [{{ name: symbolon, issuer: \"{}\", dev: true, audiences: [\"{RESOURCE}\"] }}]\nroutes:\n",
        broker.url
    );
    for Link { name, path, address, http2 } in links {
        let _ = writeln!(
            text,
            "\x20 - {{ name: {name}, match: {{ path: {path} }}, resource: \"{RESOURCE}\", forward_credential: true, \
             upstream: {{ url: \"http://{address}\", http2: {http2} }}, streams: {{ renewal: {renewal} }}, \
             stages: [{{ verify: {{ issuers: [symbolon], scopes: [\"streams:use\"] }} }}, {{ authorize: {{ policies: policies }} }}] }}"
        );
    }
    text
}

fn upstreams(gateway: &Gateway, links: &[Link], doors: &BTreeMap<&str, SocketAddr>) -> String {
    let mut text = String::new();
    for Link { name, http2, .. } in links {
        let _ = writeln!(
            text,
            "\x20 - {{ name: {name}, listen: {{ tcp: \"{door}\", allow_any_local_process: true }}, target: \"http://{target}\", \
             http2: {http2}, resource: \"{RESOURCE}\", required: true }}",
            door = doors[name],
            target = gateway.address
        );
    }
    text
}
