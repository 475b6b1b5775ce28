//! A real Keycloak as a child process, with realms made through its admin API.
//! Not here: getting it, which is `scripts/setup interop`; what it is asked for.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Answer, Call, Place};
use crate::issuer::{encode, random};
use crate::machine::free_address;
use crate::process::{Process, wait_for};

/// Half a minute on a machine that does nothing else.
const START: Duration = Duration::from_mins(4);
const ADMIN: &str = "admin";

/// A running Keycloak that keeps everything in memory; it ends with this.
#[derive(Debug)]
pub struct Keycloak {
    address: SocketAddr,
    admin_token: String,
    process: Process,
    _folder: TempDir,
}

impl Keycloak {
    /// Starts the one that was installed in `home`, and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed, or does not start.
    pub async fn start(home: &Path) -> Self {
        let runner = home.join("lib/quarkus-run.jar");
        assert!(runner.is_file(), "{} is missing: run `scripts/setup interop`", runner.display());
        let (folder, address, password) = (tempfile::tempdir().unwrap(), free_address(), encode(&random()));
        let process = Process::start("keycloak", command(home, address, &password), folder.path());
        let mut keycloak = Self { address, admin_token: String::new(), process, _folder: folder };
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", ADMIN),
            ("password", &password),
        ];
        wait_for("Keycloak answers", START, async || {
            assert!(keycloak.process.is_running(), "Keycloak ended:\n{}", keycloak.process.log());
            let answer = keycloak.token_endpoint("master", &form).await;
            keycloak.admin_token = answer.map(|answer| answer.text("access_token")).unwrap_or_default();
            !keycloak.admin_token.is_empty()
        })
        .await;
        keycloak
    }

    /// The `iss` of a realm's tokens.
    #[must_use]
    pub fn issuer(&self, realm: &str) -> String {
        format!("http://{}/realms/{realm}", self.address)
    }

    /// Makes a realm.
    ///
    /// # Panics
    /// If it is not taken.
    pub async fn add_realm(&self, realm: &Value) {
        let call = Call::json("/admin/realms", realm).bearer(&self.admin_token);
        let answer = call.send(self.address).await.unwrap();
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// What a user gets who logs in with a client, both of which have their name as their secret.
    ///
    /// # Panics
    /// If it is not given.
    pub async fn log_in(&self, realm: &str, client: &str, user: &str) -> Answer {
        let form = [
            ("grant_type", "password"),
            ("scope", "openid"),
            ("client_id", client),
            ("client_secret", client),
            ("username", user),
            ("password", user),
        ];
        let answer = self.token_endpoint(realm, &form).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer
    }

    async fn token_endpoint(&self, realm: &str, form: &[(&str, &str)]) -> Result<Answer, String> {
        let path = format!("/realms/{realm}/protocol/openid-connect/token");
        Call::form(&path, form).send(Place::Tcp(self.address)).await
    }
}

/// What its `kc.sh start --optimized` runs, without the shell between, so that it ends when the tests do.
fn command(home: &Path, address: SocketAddr, password: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "java", "-Xms256m", "-Xmx1g"]);
    command.arg(format!("-Dkc.home.dir={}", home.display()));
    command.arg(format!("-Djboss.server.config.dir={}", home.join("conf").display()));
    command.args([
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
        "-Dpicocli.disable.closures=true",
    ]);
    command
        .arg("-cp")
        .arg(home.join("lib/quarkus-run.jar"))
        .arg("io.quarkus.bootstrap.runner.QuarkusEntryPoint");
    command.args(["start", "--optimized", "--cache=local", "--http-enabled=true", "--http-host=127.0.0.1"]);
    command.arg(format!("--http-port={}", address.port())).arg(format!("--hostname=http://{address}"));
    command.env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMIN).env("KC_BOOTSTRAP_ADMIN_PASSWORD", password);
    command
}
