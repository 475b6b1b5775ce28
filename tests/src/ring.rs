//! A broker with a resource for each signing algorithm, and what tests ask of its keys.
//! Not here: verifying its tokens.

use std::process::{Command, Output};

use serde_json::Value;

use crate::http::{Answer, Call, Connection};
use crate::issuer::{TestIssuer, decode};
use crate::process::binary;
use crate::programs::Broker;

/// The algorithms that tokens are signed with; each has a resource of its name in lower case.
pub const ALGORITHMS: [&str; 4] = ["ES256", "EdDSA", "RS256", "PS256"];

/// A running broker with several kinds of signing keys.
#[derive(Debug)]
pub struct Ring {
    /// The broker.
    pub broker: Broker,
}

/// The audience of an algorithm's resource.
#[must_use]
pub fn audience(algorithm: &str) -> String {
    format!("https://{}.test", algorithm.to_lowercase())
}

/// All those audiences, each in quotation marks, with commas between.
#[must_use]
pub fn audiences() -> String {
    ALGORITHMS.map(|algorithm| format!("\"{}\"", audience(algorithm))).join(", ")
}

impl Ring {
    /// Starts a broker whose tokens live for so many seconds, with these members of the section `keys`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(token_seconds: u64, keys: &str) -> Self {
        let resources = ALGORITHMS.map(|algorithm| {
            format!(
                "  - {{ name: {name}, audience: \"{audience}\", binding: bearer_allowed, groups: [open], algorithm: {algorithm}, token_ttl: {token_seconds}s }}\n",
                name = algorithm.to_lowercase(),
                audience = audience(algorithm),
            )
        });
        // The rate limit is not the matter here.
        let rest = format!(
            "{resources}limits: {{ requests_per_second: 1000000, burst: 1000000 }}\nkeys: {{ {keys} }}\n",
            resources = resources.concat()
        );
        let client = TestIssuer::new("client");
        Self { broker: Broker::start("ring", &client.jwks().to_string(), &rest).await }
    }

    /// A token that is signed with this algorithm.
    ///
    /// # Panics
    /// If there is none.
    pub async fn token(&self, algorithm: &str) -> String {
        token(&mut Connection::open(&self.broker.socket().as_path().into()).await.unwrap(), algorithm).await
    }

    /// The ids in the published key set.
    ///
    /// # Panics
    /// If it cannot be fetched.
    pub async fn published(&self) -> Vec<String> {
        let answer = Call::get("/.well-known/jwks.json").send(self.broker.address).await.unwrap();
        let keys = answer.json()["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    /// The keys as the admin socket shows them.
    ///
    /// # Panics
    /// If it does not.
    pub async fn keys(&self) -> Vec<Value> {
        let answer = self.admin(Call::get("/v1/keys")).await;
        answer.json()["keys"].as_array().unwrap().clone()
    }

    /// What the admin socket answers.
    ///
    /// # Panics
    /// If it does not.
    pub async fn admin(&self, call: Call) -> Answer {
        call.send(self.broker.admin_socket().as_path()).await.unwrap()
    }

    /// Runs `symbolon key …` against this broker.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn symbolon_key(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary("symbolon"));
        command.env_clear().arg("key").args(arguments).arg("--broker-admin").arg(self.broker.admin_socket());
        command.output().unwrap()
    }
}

/// A token from an open connection to the attestation socket.
///
/// # Panics
/// If there is none.
pub async fn token(connection: &mut Connection, algorithm: &str) -> String {
    let audience = audience(algorithm);
    let form = [("grant_type", "client_credentials"), ("resource", audience.as_str())];
    let answer = connection.send(Call::form("/oauth2/token", &form)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.text("access_token")
}

/// The id of the key that a token names.
///
/// # Panics
/// If it is no token, or names none.
#[must_use]
pub fn key_id(token: &str) -> String {
    let header: Value = serde_json::from_slice(&decode(token.split('.').next().unwrap())).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}
