//! Broker and gateway with certificates of their own: every protocol over TLS, certificates that change, what is refused.
//! Not here: TLS to upstreams and issuers, which is tested over sockets beside the code.

mod chain;
mod protocols;
mod refused;
mod replaced;

use std::time::Duration;

use symbolon_e2e::api::Api;
use symbolon_e2e::certificates::{Authority, Pair, Volume};
use symbolon_e2e::http::{Answer, Call, Connection, Place};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Gateway;
use tokio::io::AsyncWriteExt as _;

const ISSUER: &str = "https://issuer.test/a";
const API: &str = "https://orders.test";

/// A gateway by TLS before an API that says what it saw.
struct Guarded {
    authority: Authority,
    pair: Pair,
    volume: Volume,
    issuer: TestIssuer,
    gateway: Gateway,
    _api: Api,
}

impl Guarded {
    async fn start() -> Self {
        let (authority, issuer, api) = (Authority::new(), TestIssuer::new(ISSUER), Api::start().await);
        let pair = authority.pair();
        let volume = Volume::new(&pair);
        let route = format!(
            "  - {{ name: orders, match: {{ path: /orders/** }}, resource: \"{API}\", upstream: {{ url: \"http://{}\" }}, stages: [{{ verify: {{ issuers: [a] }} }}] }}\n",
            api.address
        );
        let gateway = gateway(&volume, &issuer, &route).await;
        Self { authority, pair, volume, issuer, gateway, _api: api }
    }

    /// A request with a good token on a connection of its own, which is closed as it should be.
    async fn ask(&self) -> Result<Answer, String> {
        ask(&self.authority, self.gateway.address, Call::get("/orders/1").bearer(&self.issuer.token(API)))
            .await
    }

    async fn metrics(&self) -> String {
        metrics(self.gateway.admin).await
    }

    /// Waits until the gateway counts this.
    async fn counts(&self, line: &str) {
        counts(self.gateway.admin, line).await;
    }
}

/// A gateway with the certificate of a volume and these routes.
async fn gateway(volume: &Volume, issuer: &TestIssuer, routes: &str) -> Gateway {
    let config = format!(
        "tls: {}\nissuers: [{{ name: a, issuer: \"{ISSUER}\", jwks_file: {{folder}}/a.json, audiences: [\"{API}\"], binding: when_bound }}]\nroutes:\n{routes}",
        volume.section()
    );
    let gateway = Gateway::start(&config, &[("a.json", &issuer.jwks().to_string())]).await;
    gateway.ready().await;
    gateway
}

/// Sends a request by HTTP/1.1 over TLS.
async fn ask(authority: &Authority, address: std::net::SocketAddr, call: Call) -> Result<Answer, String> {
    let stream = authority.client(&["http/1.1"]).connect(address).await?;
    Connection::over(stream, &Place::Tcp(address), address.to_string()).await?.send(call).await
}

async fn metrics(admin: std::net::SocketAddr) -> String {
    let answer = Call::get("/metrics").send(admin).await.unwrap();
    String::from_utf8(answer.body.to_vec()).unwrap()
}

async fn counts(admin: std::net::SocketAddr, line: &str) {
    wait_for(line, Duration::from_secs(20), async || metrics(admin).await.contains(line)).await;
}

/// Whether a new connection is shown the certificate of this pair.
async fn new_connections_see(authority: &Authority, address: std::net::SocketAddr, pair: &Pair) -> bool {
    let mut stream = authority.client(&["http/1.1"]).connect(address).await.unwrap();
    let shown = symbolon_e2e::certificates::shows(&stream, pair);
    stream.shutdown().await.unwrap();
    shown
}
