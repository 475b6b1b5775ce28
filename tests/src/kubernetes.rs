//! A real Kubernetes control plane as child processes: etcd, kube-apiserver, where asked for kube-controller-manager.
//! Not here: nodes. No kubelet runs; pods are bound to made-up nodes, and `kubelet` plays one where it is needed.

pub mod api;
pub mod fault;
mod files;
pub mod kubelet;
pub mod mutator;
pub mod objects;
mod servers;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use self::api::Api;
use self::files::Files;
use crate::http::Call;
use crate::machine::free_address;
use crate::process::{Process, binaries, wait_for};

/// Seconds on a machine that does nothing else.
const START: Duration = Duration::from_mins(3);

/// The `iss` of a cluster whose makers did not choose one.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// How a cluster is to be started.
#[derive(Debug, Clone)]
pub struct Plan {
    name: String,
    issuer: String,
    audiences: Vec<String>,
    has_controllers: bool,
    flags: Vec<String>,
}

impl Plan {
    /// An API server whose tokens are from [`ISSUER`] and for it, without controllers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (name, issuer) = (name.to_owned(), ISSUER.to_owned());
        Self { name, audiences: vec![issuer.clone()], issuer, has_controllers: false, flags: Vec::new() }
    }

    /// With another issuer, which is its tokens' default audience too.
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), audiences: vec![issuer.to_owned()], ..self }
    }

    /// With other audiences that the server takes for its own; the first is its tokens' default.
    #[must_use]
    pub fn audiences(self, audiences: &[&str]) -> Self {
        Self { audiences: audiences.iter().map(|audience| (*audience).to_owned()).collect(), ..self }
    }

    /// With a controller manager.
    #[must_use]
    pub fn controllers(self) -> Self {
        Self { has_controllers: true, ..self }
    }

    /// With one more flag of kube-apiserver.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Starts it, and waits until it is ready.
    ///
    /// # Panics
    /// If it is not installed, or does not become ready.
    pub async fn start(self) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Cluster::start_in(self, folder.path()).await;
        cluster.owned = Some(folder);
        cluster
    }
}

/// A running cluster; it ends with this.
#[derive(Debug)]
pub struct Cluster {
    plan: Plan,
    address: SocketAddr,
    etcd_address: SocketAddr,
    files: Files,
    folder: PathBuf,
    admin: Api,
    took: Duration,
    // Dropped in this order: who depends on the next one goes first.
    controllers: Option<Process>,
    api_server: Process,
    etcd: Process,
    /// None if it has to outlive every test.
    owned: Option<TempDir>,
}

impl Cluster {
    /// Starts one as [`Plan::new`] says.
    ///
    /// # Panics
    /// If it is not installed, or does not become ready.
    pub async fn start(name: &str) -> Self {
        Plan::new(name).start().await
    }

    /// The one that the suites share; nobody may stop it. Each test has namespaces and nodes of its own.
    ///
    /// # Panics
    /// If it is not installed, or does not become ready.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                // A static is never dropped, so what it leaves is removed by the next run.
                let clusters = binaries().join("symbolon-e2e/kubernetes");
                remove_abandoned(&clusters);
                let folder = clusters.join(std::process::id().to_string());
                fs::create_dir_all(&folder).unwrap();
                // The administrator's token is in it.
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
                Self::start_in(Plan::new("shared"), &folder).await
            })
            .await
    }

    async fn start_in(plan: Plan, folder: &Path) -> Self {
        let (address, etcd_address) = (free_address(), free_address());
        let files = Files::write(folder, address);
        let etcd = servers::etcd(folder, etcd_address);
        let etcd = Process::start(&format!("{}-etcd", plan.name), etcd, folder);
        let api_server = api_server(&plan, &files, (address, etcd_address));
        let mut cluster = Self {
            admin: Api::new(address, &files.path("ca.pem"), &files.admin_token),
            took: Duration::ZERO,
            controllers: None,
            folder: folder.to_owned(),
            owned: None,
            api_server,
            etcd,
            plan,
            address,
            etcd_address,
            files,
        };
        cluster.ready().await;
        if cluster.plan.has_controllers {
            let command = servers::controller_manager(&cluster.files);
            let name = format!("{}-controllers", cluster.plan.name);
            cluster.controllers = Some(Process::start(&name, command, folder));
        }
        cluster
    }

    /// Its base URL.
    #[must_use]
    pub fn server(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.plan.issuer
    }

    /// The certificate that its own is signed with.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.files.path("ca.pem")
    }

    /// The public key of its tokens, in PEM.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.files.path("accounts.pub")
    }

    /// The private key of its tokens, in PEM: what a thief of it could sign.
    #[must_use]
    pub fn private_key_file(&self) -> PathBuf {
        self.files.path("accounts.key")
    }

    /// An administrator's configuration of kubectl and helm.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.files.path("kubeconfig")
    }

    /// A file of this name in its folder, with a content: for a `token_file`, values of a chart.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// An administrator.
    #[must_use]
    pub fn admin(&self) -> &Api {
        &self.admin
    }

    /// Whoever holds a token.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Api {
        self.admin.with_token(token)
    }

    /// How long the last start took until it was ready.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// The process of its API server.
    #[must_use]
    pub fn api_server(&self) -> Pid {
        self.api_server.pid()
    }

    /// The process of its store.
    #[must_use]
    pub fn etcd(&self) -> Pid {
        self.etcd.pid()
    }

    /// Halts the API server: it takes connections and answers nothing.
    pub fn pause(&self) {
        self.api_server.signal(Signal::STOP);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.api_server.signal(Signal::CONT);
    }

    /// Ends the API server at once: it takes no connection.
    pub fn kill(&mut self) {
        self.api_server.kill();
    }

    /// Starts the API server anew, after [`kill`](Self::kill); it has kept everything.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn restart(&mut self) {
        self.api_server = api_server(&self.plan, &self.files, (self.address, self.etcd_address));
        self.ready().await;
    }

    /// Runs kubectl as the administrator, with an input.
    ///
    /// # Panics
    /// If it is not installed.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        self.run("kubectl", arguments, input).await
    }

    /// Runs helm as the administrator.
    ///
    /// # Panics
    /// If it is not installed.
    pub async fn helm(&self, arguments: &[&str]) -> Output {
        self.run("helm", arguments, "").await
    }

    async fn run(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = tokio::process::Command::new(servers::program(program));
        command.args(arguments).env_clear().env("KUBECONFIG", self.kubeconfig()).env("HOME", &self.folder);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.stderr(std::process::Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        child.wait_with_output().await.unwrap()
    }

    async fn ready(&mut self) {
        let started = Instant::now();
        let (admin, api_server, etcd) = (&self.admin, &mut self.api_server, &mut self.etcd);
        wait_for("the API server is ready", START, async || {
            assert!(etcd.is_running(), "etcd ended:\n{}", etcd.log());
            assert!(api_server.is_running(), "kube-apiserver ended:\n{}", api_server.log());
            // It answers nothing for its first seconds; asking all the time would only delay it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            admin.call(Call::get("/readyz")).await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        self.took = started.elapsed();
    }
}

fn api_server(plan: &Plan, files: &Files, (address, etcd): (SocketAddr, SocketAddr)) -> Process {
    let mut command = servers::api_server(files, address, etcd);
    command.arg(format!("--service-account-issuer={}", plan.issuer));
    command.arg(format!("--api-audiences={}", plan.audiences.join(",")));
    command.args(&plan.flags);
    Process::start(&format!("{}-kube-apiserver", plan.name), command, &files.path("."))
}

/// Removes what shared clusters of test binaries left that have ended.
fn remove_abandoned(clusters: &Path) {
    for entry in fs::read_dir(clusters).into_iter().flatten().flatten() {
        let is_running = Path::new("/proc").join(entry.file_name()).exists();
        if !is_running {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
