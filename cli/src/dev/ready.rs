//! What `symbolon dev` tells when it is ready: where everything is.
//! Not here: the text for people (`banner.rs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::ports::Ports;

/// The file in the state folder that holds the object while `symbolon dev` runs.
pub(crate) const READY_FILE: &str = "ready.json";

/// The ready object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) broker: Broker,
    pub(crate) sidecar: Sidecar,
    pub(crate) gateway: Gateway,
    pub(crate) api: Api,
    pub(crate) client: Client,
    /// The folder with the configurations, policies, keys and logs.
    pub(crate) state_dir: PathBuf,
    /// The process that runs it all.
    pub(crate) pid: u32,
    /// How long it took until everything was ready.
    pub(crate) milliseconds: u64,
}

/// Where the broker is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Broker {
    /// Its public base URL, which is also its issuer.
    pub(crate) url: String,
    /// Health and metrics.
    pub(crate) admin: String,
    /// The attestation socket.
    pub(crate) socket: PathBuf,
    /// The admin socket.
    pub(crate) admin_socket: PathBuf,
}

/// Where the sidecar is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    /// The local token endpoint.
    pub(crate) url: String,
    /// Health and metrics.
    pub(crate) health: String,
    /// The listeners, by the name of their upstream.
    pub(crate) upstreams: BTreeMap<String, String>,
}

/// Where the gateway is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Gateway {
    /// The proxy.
    pub(crate) url: String,
    /// Health and metrics.
    pub(crate) admin: String,
    /// The admin socket.
    pub(crate) admin_socket: PathBuf,
}

/// Where the echo API is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Api {
    pub(crate) url: String,
}

/// The registered client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// Its private key, for `openssl`.
    pub(crate) key: PathBuf,
}

impl Ready {
    /// The object for a set of addresses.
    pub(crate) fn new(folder: &Folder, ports: &Ports, milliseconds: u64) -> Self {
        let url = |address: &std::net::SocketAddr| format!("http://{address}");
        let upstreams = [("orders", ports.orders), ("payroll", ports.payroll), ("notes", ports.notes)];
        Self {
            broker: Broker {
                url: url(&ports.broker),
                admin: url(&ports.broker_admin),
                socket: folder.file("attest.sock"),
                admin_socket: folder.file("admin.sock"),
            },
            sidecar: Sidecar {
                url: url(&ports.sidecar),
                health: url(&ports.sidecar_health),
                upstreams: upstreams
                    .iter()
                    .map(|(name, address)| ((*name).to_owned(), url(address)))
                    .collect(),
            },
            gateway: Gateway {
                url: url(&ports.gateway),
                admin: url(&ports.gateway_admin),
                admin_socket: folder.file("gateway-admin.sock"),
            },
            api: Api { url: url(&ports.api) },
            client: Client {
                id: super::client::CLIENT_ID.to_owned(),
                key: folder.file(super::client::KEY_FILE),
            },
            state_dir: folder.path().to_owned(),
            pid: std::process::id(),
            milliseconds,
        }
    }

    /// The object of the `symbolon dev` that runs in a folder.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(READY_FILE);
        let text = std::fs::read(&path).with_context(|| {
            format!("reading {}: is `symbolon dev --state-dir` running there?", path.display())
        })?;
        Ok(serde_json::from_slice(&text)?)
    }
}
