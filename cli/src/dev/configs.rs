//! The files that `symbolon dev` writes for its programs: what an operator would write by hand.
//! Not here: starting the programs.

mod broker;
mod gateway;
mod policies;
mod sidecar;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use symbolon_jws::{base64url, random_bytes};

use super::folder::Folder;
use super::ports::Ports;

pub(crate) use policies::PAYROLL_FILE;
pub(crate) use sidecar::{SidecarPlan, Upstream};

/// The trust domain of every `symbolon dev`.
pub(crate) const TRUST_DOMAIN: &str = "dev.symbolon.local";
/// The user that the payroll policy names: `nobody`, so that nobody reads the payroll.
pub(crate) const NOBODY: u32 = 65_534;

/// The resources, in the order of the configurations: name, the scope asked for, binding, life of a token.
pub(crate) const RESOURCES: &[Resource] = &[
    Resource { name: "orders", scopes: &["orders:read", "orders:write"], binding: "dpop", ttl: "5m" },
    Resource { name: "payroll", scopes: &["payroll:read"], binding: "dpop", ttl: "5m" },
    Resource { name: "notes", scopes: &["notes:read"], binding: "bearer_allowed", ttl: "5m" },
    Resource { name: "short", scopes: &["short:read"], binding: "bearer_allowed", ttl: "2s" },
];

/// Something that tokens are issued for, and a route to it.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) name: &'static str,
    scopes: &'static [&'static str],
    binding: &'static str,
    ttl: &'static str,
}

impl Resource {
    /// The audience of its tokens.
    pub(crate) fn audience(&self) -> String {
        audience(self.name)
    }

    /// The scope that reading it takes.
    fn read_scope(&self) -> String {
        format!("{}:read", self.name)
    }
}

/// The audience of a resource.
pub(crate) fn audience(resource: &str) -> String {
    format!("https://{resource}.internal")
}

/// What the files depend on.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) ports: &'a Ports,
    /// SHA-256 of the genuine sidecar.
    pub(crate) sidecar_sha256: &'a str,
    /// The user who runs all this.
    pub(crate) uid: u32,
    /// Where the thief of the tour listens; to the sidecar, that is the gateway.
    pub(crate) tap: Option<SocketAddr>,
}

impl Facts<'_> {
    /// Whether this is for the tour.
    fn is_tour(&self) -> bool {
        self.tap.is_some()
    }
}

/// The configuration files of the three programs.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) broker: PathBuf,
    pub(crate) gateway: PathBuf,
}

/// Writes everything that the broker and the gateway read.
pub(crate) fn write(facts: &Facts<'_>) -> anyhow::Result<Written> {
    let key = base64url::encode(random_bytes::<32>()?);
    if !facts.folder.file("sealing-key").exists() {
        facts.folder.write_secret("sealing-key", &key)?;
    }
    // For shell scripts, which would have to take it out of `ready.json`.
    facts.folder.write("issuer", &format!("http://{}\n", facts.ports.broker))?;
    policies::write(facts)?;
    Ok(Written {
        broker: facts.folder.write("broker.yaml", &broker::text(facts))?,
        gateway: facts.folder.write("gateway.yaml", &gateway::text(facts))?,
    })
}

/// Writes the configuration of a sidecar.
pub(crate) fn write_sidecar(folder: &Folder, file: &str, plan: &SidecarPlan<'_>) -> anyhow::Result<PathBuf> {
    folder.write(file, &sidecar::text(folder, plan))
}

/// A path as a YAML string; YAML 1.2 reads a JSON string as itself.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}
