//! Policies of a running broker: broken folders, policies on trial, and what people are told about decisions.
//! Not here: what a policy means; the tests of `symbolon-policies` say that.

mod explained;
mod reload;
mod tool;
mod trial;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::process::{binary, wait_for};
use symbolon_e2e::programs::Broker;

const SOON: Duration = Duration::from_secs(20);

/// A broker with one folder of policies.
struct Judging {
    broker: Broker,
}

impl Judging {
    /// Starts with the policies of every broker under test.
    async fn start(rest: &str) -> Self {
        let client = TestIssuer::new("tester");
        Self { broker: Broker::start("tester", &client.jwks().to_string(), rest).await }
    }

    fn policies(&self) -> PathBuf {
        self.broker.folder.path().join("policies")
    }

    /// Asks over the socket for a scope of `notes`.
    async fn ask(&self, scope: &str) -> Answer {
        let fields =
            [("grant_type", "client_credentials"), ("resource", "https://notes.test"), ("scope", scope)];
        Call::form("/oauth2/token", &fields).send(self.broker.socket().as_path()).await.unwrap()
    }

    /// Runs `symbolon` with the broker's admin socket.
    fn symbolon(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary("symbolon"));
        command.env_clear().args(arguments).arg("--broker-admin").arg(self.broker.admin_socket());
        command.output().unwrap()
    }

    /// The value of one line of the metrics; none if there is no such line.
    async fn metric(&self, line: &str) -> Option<u64> {
        let metrics = Call::get("/metrics").send(self.broker.admin).await.unwrap();
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }

    /// The number of policies in force.
    async fn loaded(&self) -> u64 {
        self.metric("symbolon_broker_policies").await.unwrap()
    }

    /// The latest decision that allowed; several of one second come in any order.
    async fn last_allowed(&self) -> String {
        let recent =
            Call::get("/v1/decisions").send(self.broker.admin_socket().as_path()).await.unwrap().json();
        let allowed = recent.as_array().unwrap().iter().find(|decision| decision["outcome"] == "allowed");
        allowed.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a line of the metrics has a value.
    async fn reaches(&self, line: &str, value: u64) {
        wait_for(line, SOON, async || self.metric(line).await == Some(value)).await;
    }
}

/// What a command printed on both streams.
fn said(run: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr))
}
