//! `symbolon dev` as the tests run it.
//! Not here: what it promises (`suites/dev.rs`).

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::http::Place;
use crate::process::{Process, binaries, binary, wait_for};
use crate::refusals::Witness;

const START: Duration = Duration::from_secs(30);

/// A running `symbolon dev --json`.
#[derive(Debug)]
pub struct Dev {
    /// The ready object.
    pub ready: Value,
    /// Its state folder.
    pub state_dir: PathBuf,
    /// The process.
    pub process: Process,
    /// Holds the log; none if it has to outlive every test.
    log_folder: Option<TempDir>,
}

impl Dev {
    /// Starts one on free ports.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut dev = Self::start_in(folder.path(), None).await;
        dev.log_folder = Some(folder);
        dev
    }

    /// Starts one whose log goes to a folder, with a state folder of the caller's.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn start_in(folder: &Path, state_dir: Option<&Path>) -> Self {
        let mut command = Command::new(binary("symbolon"));
        command.args(["dev", "--json", "--port-base", "0", "--exit-with-parent"]);
        if let Some(state_dir) = state_dir {
            command.arg("--state-dir").arg(state_dir);
        }
        let mut process = Process::start("dev", command, folder);
        let mut ready = Value::Null;
        wait_for("symbolon dev is ready", START, async || {
            assert!(process.is_running(), "symbolon dev ended:\n{}", process.log());
            let log = process.log();
            let line = log.lines().find(|line| line.starts_with('{')).unwrap_or_default();
            ready = serde_json::from_str(line).unwrap_or_default();
            ready.is_object()
        })
        .await;
        let state_dir = ready["state_dir"].as_str().unwrap().into();
        let mut dev = Self { ready, state_dir, process, log_folder: None };
        let broker = [Place::Tcp(dev.address("broker.url")), Place::Unix(dev.file("attest.sock"))];
        dev.process.explains(Witness::new(dev.file("admin.sock"), broker));
        let gateway = [Place::Tcp(dev.address("gateway.url"))];
        dev.process.explains(Witness::new(dev.file("gateway-admin.sock"), gateway));
        dev
    }

    /// The one that several suites share; nobody may change its policies or stop it. It explains what it refused so far
    /// whenever a test is done with it.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn shared() -> Shared {
        static SHARED: OnceCell<Dev> = OnceCell::const_new();
        // A static is never dropped, so its log goes where the next run overwrites it.
        let folder = binaries().join("symbolon-e2e");
        std::fs::create_dir_all(&folder).unwrap();
        Shared(SHARED.get_or_init(|| Self::start_in(&folder, None)).await)
    }

    /// A text of the ready object, by its path: `broker.url`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        let value = path.split('.').fold(&self.ready, |value, member| &value[member]);
        value.as_str().unwrap_or_else(|| panic!("the ready object has no `{path}`"))
    }

    /// The address in a URL of the ready object.
    ///
    /// # Panics
    /// If it is no `http://address`.
    #[must_use]
    pub fn address(&self, path: &str) -> SocketAddr {
        self.text(path).strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// A file in the state folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.state_dir.join(Path::new(name))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.process.assert_explained();
    }
}

/// A test's hold on the one that several share.
#[derive(Debug)]
pub struct Shared(&'static Dev);

impl Deref for Shared {
    type Target = Dev;

    fn deref(&self) -> &Dev {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.process.testify();
        }
    }
}
