//! A sidecar between its fake broker and its fake API, on a clock that the test moves.
//! One for each test; everything ends with it.

use std::sync::Arc;
use std::time::Duration;

use symbolon_config::{Environment, parse_str};
use symbolon_daemon::{Clock, FixedClock, Lifecycle, SystemClock};
use symbolon_http::server::Bind;
use symbolon_identity::UpstreamName;
use symbolon_sidecar::{Addresses, Config, Settings, Sidecar};
use tempfile::TempDir;

use crate::api::Api;
use crate::broker::{Broker, Mood};
use crate::caller::{Answer, Call, Place};

/// Everything that one test needs.
pub(crate) struct Rig {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) broker: Broker,
    /// Ends the broker alone.
    pub(crate) broker_life: Lifecycle,
    pub(crate) broker_url: String,
    pub(crate) api: Api,
    pub(crate) api_url: String,
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) addresses: Addresses,
}

/// What a test writes into `sidecar.yaml` in place of what is usual.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) broker: Mood,
    pub(crate) evidence: &'static str,
    pub(crate) socket: bool,
    pub(crate) listen: &'static str,
    pub(crate) upstream: &'static str,
    pub(crate) rest: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            broker: crate::broker::GRANT,
            evidence: "unix: {}",
            socket: true,
            listen: r#"{ tcp: "127.0.0.1:0", allow_any_local_process: true }"#,
            upstream: "",
            rest: "",
        }
    }
}

impl Rig {
    pub(crate) fn start(plan: &Plan) -> Self {
        let lifecycle = Lifecycle::new(Duration::from_secs(1));
        let broker_life = Lifecycle::new(Duration::from_secs(1));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let (bind, socket) = if plan.socket {
            (format!("unix:{path}/attest.sock"), format!(", socket: {path}/attest.sock"))
        } else {
            ("127.0.0.1:0".to_owned(), String::new())
        };
        let bind: Bind = bind.parse().unwrap();
        let (broker, address) = Broker::start(&bind, plan.broker.clone(), &broker_life);
        let broker_url =
            if plan.socket { "http://127.0.0.1:8700".to_owned() } else { format!("http://{address}") };
        let (api, api_address) = Api::start(&lifecycle);
        let text = format!(
            "broker: {{ url: \"{broker_url}\"{socket} }}\n\
             evidence: {{ {evidence} }}\n\
             upstreams:\n\
             \x20 - name: orders\n\
             \x20   listen: {listen}\n\
             \x20   target: http://{api_address}\n\
             \x20   resource: https://orders.internal\n\
             \x20   scope: orders:read\n\
             {upstream}\n{rest}\n{health}",
            evidence = plan.evidence,
            listen = plan.listen,
            upstream = plan.upstream,
            rest = plan.rest,
            health = if plan.rest.contains("listen:") { "" } else { "listen: { health: \"127.0.0.1:0\" }\n" },
        );
        let text = text.replace("{folder}", &path.to_string()).replace("{api}", &api_address);
        let loaded = parse_str::<Config>(&text, "sidecar.yaml", &Environment::empty()).unwrap();
        let settings = Settings::new(&loaded).unwrap();
        let clock = Arc::new(FixedClock::at(SystemClock.unix_seconds()));
        let sidecar =
            Sidecar::prepare(settings, lifecycle.clone(), Arc::<FixedClock>::clone(&clock)).unwrap();
        let addresses = sidecar.start().unwrap();
        let api_url = format!("http://{api_address}");
        Self { lifecycle, broker, broker_life, broker_url, api, api_url, folder, clock, addresses }
    }

    /// The listener of an upstream.
    pub(crate) fn door(&self, upstream: &str) -> Place {
        let address = &self.addresses.upstreams[&UpstreamName::parse(upstream).unwrap()];
        if address.starts_with('/') { Place::Unix(address.into()) } else { Place::Tcp(address.clone()) }
    }

    /// A call of the app through the listener of `orders`.
    pub(crate) fn call(&self, path: &str) -> Call {
        Call::get(self.door("orders"), path, &self.lifecycle)
    }

    /// A call of the health listener.
    pub(crate) async fn health(&self, path: &str) -> Answer {
        Call::get(Place::Tcp(self.addresses.health.clone()), path, &self.lifecycle).send().await
    }

    /// Waits until a health path answers with this status.
    pub(crate) async fn health_becomes(&self, path: &str, status: u16) {
        eventually(async || self.health(path).await.status == status).await;
    }
}

/// Waits until a condition holds, not for ever.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), holds).await.unwrap();
}
