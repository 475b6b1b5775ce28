//! Broker and gateway under test, each with a small configuration in a folder of its own.
//! Not here: all three together (`dev.rs`).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::certificates::Volume;
use crate::http::{Call, Place};
use crate::machine::{free_address, uid};
use crate::process::{Process, wait_for};
use crate::refusals::Witness;

const START: Duration = Duration::from_secs(20);

/// Attests local processes by their user.
const LOCAL: &str =
    "trust_providers: [{ name: local, unix: {}, workload: '\"local/uid/\" + string(attested.uid)' }]\n";

/// A gateway under test.
#[derive(Debug)]
pub struct Gateway {
    /// The proxy.
    pub address: SocketAddr,
    /// Health and metrics.
    pub admin: SocketAddr,
    /// Its folder.
    pub folder: TempDir,
    /// The process.
    pub process: Process,
}

impl Gateway {
    /// Starts a gateway with the rest of its configuration (`issuers:`, `routes:`, perhaps `keys:`), and waits until it lives.
    /// With `tls:` it is called by `https`. `files` are written into its folder first; `{folder}` in the configuration stands for it.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(rest: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let (address, admin) = (free_address(), free_address());
        let has_keys = rest.lines().any(|line| line.starts_with("keys:"));
        let keys = if has_keys { "" } else { "keys: { directory: {folder}/keys }\n" };
        let scheme = if rest.lines().any(|line| line.starts_with("tls:")) { "https" } else { "http" };
        let config = format!(
            "listen: \"{address}\"\nadmin: {{ listen: \"{admin}\", socket: {{folder}}/admin.sock }}\n\
             origins: [\"{scheme}://{address}\"]\naudit: {{ file: {{folder}}/audit.jsonl }}\n{keys}{rest}"
        );
        let path = write_config(folder.path(), "gateway.yaml", &config);
        let process = gateway_process(&path, address);
        let mut gateway = Self { address, admin, folder, process };
        alive(&mut gateway.process, admin).await;
        gateway
    }

    /// Starts it anew in the same folder, after its process has ended.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.process = gateway_process(&self.folder.path().join("gateway.yaml"), self.address);
        alive(&mut self.process, self.admin).await;
    }

    /// Waits until `/readyz` says 200.
    ///
    /// # Panics
    /// If it does not in time.
    pub async fn ready(&self) {
        ready(self.admin).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.assert_explained();
    }
}

/// A broker under test, with a `unix` provider and a registered client.
#[derive(Debug)]
pub struct Broker {
    /// The issuer and base URL.
    pub url: String,
    /// The public port.
    pub address: SocketAddr,
    /// Health and metrics.
    pub admin: SocketAddr,
    /// Its folder, with `attest.sock`, `admin.sock`, `broker.db` and `policies/`.
    pub folder: TempDir,
    /// The process.
    pub process: Process,
}

impl Broker {
    /// Starts a broker that gives its registered client and local programs of this user tokens for `notes` (bearer)
    /// and `orders` (bound). `rest` follows the list of resources: more of them, further sections, or nothing.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(client_id: &str, client_jwks: &str, rest: &str) -> Self {
        Self::start_clients(&[(client_id, client_jwks)], rest, "").await
    }

    /// The same with several registered clients, each with its key set, and with further policies.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_clients(clients: &[(&str, &str)], rest: &str, more_policies: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("policies")).unwrap();
        fs::write(path.join("policies/test.cedar"), policies(clients[0].0)).unwrap();
        fs::write(path.join("policies/more.cedar"), more_policies).unwrap();
        let mut section = Vec::new();
        for (id, keys) in clients {
            fs::write(path.join(format!("{id}.jwks.json")), keys).unwrap();
            section.push(format!("{{ client_id: {id}, jwks_file: {{folder}}/{id}.jwks.json }}"));
        }
        let section = section.join(", ");
        fs::write(path.join("sealing-key"), crate::issuer::encode(&[7; 32])).unwrap();
        let (address, admin) = (free_address(), free_address());
        let url = format!("http://{address}");
        let has_providers = rest.lines().any(|line| line.starts_with("trust_providers:"));
        let providers = if has_providers { "" } else { LOCAL };
        let config = format!(
            "issuer: {url}\ntrust_domain: test.example\n\
             listen: {{ public: \"{address}\", admin: \"{admin}\", admin_socket: {{folder}}/admin.sock, socket: {{folder}}/attest.sock }}\n\
             store: {{ sqlite: {{folder}}/broker.db, sealing_key: \"${{file:{{folder}}/sealing-key}}\" }}\n\
             {providers}clients: [{section}]\n\
             policies: {{folder}}/policies\n\
             resources:\n\
             \x20 - {{ name: notes, audience: \"https://notes.test\", scopes: [\"notes:read\", \"notes:write\"], default_scopes: [\"notes:read\"], binding: bearer_allowed }}\n\
             \x20 - {{ name: orders, audience: \"https://orders.test\", scopes: [\"orders:read\"], default_scopes: [\"orders:read\"], binding: dpop }}\n{rest}"
        );
        let config = write_config(path, "broker.yaml", &config);
        let process = broker_process(&config, address);
        let mut broker = Self { url, address, admin, folder, process };
        alive(&mut broker.process, admin).await;
        ready(admin).await;
        broker
    }

    /// The same by TLS, with the certificate of a volume.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_tls(
        volume: &Volume,
        clients: &[(&str, &str)],
        rest: &str,
        more_policies: &str,
    ) -> Self {
        let mut broker = Self::start_clients(clients, rest, more_policies).await;
        assert_eq!(broker.process.stop(Signal::TERM).await, Some(0));
        let file = broker.folder.path().join("broker.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replacen("issuer: http:", "issuer: https:", 1);
        let text = text.replacen("listen: { ", &format!("listen: {{ tls: {}, ", volume.section()), 1);
        fs::write(&file, text).unwrap();
        broker.url = broker.url.replacen("http:", "https:", 1);
        broker.restart().await;
        broker
    }

    /// Starts it anew on the same store, after its process has ended, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.process = broker_process(&self.folder.path().join("broker.yaml"), self.address);
        alive(&mut self.process, self.admin).await;
        ready(self.admin).await;
    }

    /// Where it answers others than operators.
    #[must_use]
    pub fn places(&self) -> [Place; 2] {
        [Place::Tcp(self.address), Place::Unix(self.socket())]
    }

    /// The attestation socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("attest.sock")
    }

    /// The admin socket.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.assert_explained();
    }
}

/// A sidecar under test.
#[derive(Debug)]
pub struct Sidecar {
    /// Health and metrics.
    pub admin: SocketAddr,
    /// Its folder.
    pub folder: TempDir,
    /// The process.
    pub process: Process,
}

impl Sidecar {
    /// Starts a sidecar of this broker with these `upstreams:`, attested over its Unix socket, and waits until each has
    /// its token.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(broker: &Broker, upstreams: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = free_address();
        let config = format!(
            "broker: {{ url: {url}, socket: {socket} }}\nevidence: {{ unix: {{}} }}\nlisten: {{ health: \"{admin}\" }}\nupstreams:\n{upstreams}",
            url = broker.url,
            socket = broker.socket().display()
        );
        let path = write_config(folder.path(), "sidecar.yaml", &config);
        let process = Process::program("symbolon-sidecar", "run", &path);
        let mut sidecar = Self { admin, folder, process };
        alive(&mut sidecar.process, admin).await;
        ready(admin).await;
        sidecar
    }
}

fn gateway_process(config: &Path, address: SocketAddr) -> Process {
    let mut process = Process::program("symbolon-gateway", "serve", config);
    process.explains(Witness::new(config.with_file_name("admin.sock"), [Place::Tcp(address)]));
    process
}

fn broker_process(config: &Path, address: SocketAddr) -> Process {
    let mut process = Process::program("symbolon-broker", "serve", config);
    let places = [Place::Tcp(address), Place::Unix(config.with_file_name("attest.sock"))];
    process.explains(Witness::new(config.with_file_name("admin.sock"), places));
    process
}

fn policies(client_id: &str) -> String {
    format!(
        "@id(\"client-notes\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"notes\")\n\
         when {{ context.scope == \"notes:read\" && principal has client && principal.client.id == \"{client_id}\" }};\n\
         @id(\"local-notes\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"notes\")\n\
         when {{ context.scope == \"notes:read\" && principal has unix && principal.unix.uid == {uid} }};\n\
         @id(\"local-orders\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"orders\")\n\
         when {{ context.key_bound && principal has unix && principal.unix.uid == {uid} }};\n\
         @id(\"local-open\") permit (principal, action == Symbolon::Action::\"issue\", resource in Symbolon::ResourceGroup::\"open\")\n\
         when {{ principal has unix && principal.unix.uid == {uid} }};\n",
        uid = uid()
    )
}

fn write_config(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text.replace("{folder}", &folder.display().to_string())).unwrap();
    path
}

/// Waits until a program answers on its admin port.
async fn alive(process: &mut Process, admin: SocketAddr) {
    wait_for("the program lives", START, async || {
        assert!(process.is_running(), "the program ended:\n{}", process.log());
        Call::get("/livez").send(Place::Tcp(admin)).await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
}

async fn ready(admin: SocketAddr) {
    wait_for("the program is ready", START, async || {
        Call::get("/readyz").send(Place::Tcp(admin)).await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
}
