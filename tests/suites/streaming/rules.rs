//! The recording rules of `deploy/alerts`: they have the form that Prometheus reads, and name what the gateway counts.
//! Not here: Prometheus itself.

use std::fs;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::{Environment, HumanDuration, parse_str};
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::process::{wait_for, workspace};
use symbolon_e2e::sockets::{Echo, handshake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::refused::{CHAT, ISSUER, gateway};

/// A rule file (prometheus.io/docs, "Recording rules"); anything else is a mistake in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    interval: HumanDuration,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    record: String,
    expr: String,
}

#[tokio::test]
async fn recording_rules_name_what_the_gateway_counts() {
    let file = workspace().join("deploy/alerts/websockets.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let rules = parse_str::<Rules>(&text, "websockets.yaml", &Environment::empty()).unwrap().value;
    let metrics = metrics_after_one_socket().await;
    let word = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
    for group in &rules.groups {
        assert!(!group.name.is_empty() && group.interval.as_duration() >= Duration::from_secs(1));
        for rule in &group.rules {
            assert!(rule.record.chars().all(|byte| word(byte) || byte == ':'), "{}", rule.record);
            let names: Vec<&str> =
                rule.expr.split(|byte| !word(byte)).filter(|name| name.starts_with("symbolon_")).collect();
            assert!(!names.is_empty(), "{}", rule.expr);
            for name in names {
                assert!(
                    metrics.lines().any(|line| line.starts_with(&format!("{name}{{"))),
                    "{name}: {metrics}"
                );
            }
            assert_eq!(rule.expr.matches('(').count(), rule.expr.matches(')').count(), "{}", rule.expr);
        }
    }
}

/// What the gateway shows once a socket was opened and closed.
async fn metrics_after_one_socket() -> String {
    let (api, issuer) = (Echo::start().await, TestIssuer::new(ISSUER));
    let gateway = gateway(&api, &issuer).await;
    let extra = format!("Authorization: Bearer {}\r\n", issuer.token(CHAT));
    let mut socket = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    socket.write_all(handshake("/chat", gateway.address, &extra).as_bytes()).await.unwrap();
    assert!(socket.read_u8().await.is_ok());
    drop(socket);
    let mut metrics = String::new();
    wait_for("the socket is counted out", Duration::from_secs(20), async || {
        let answer = Call::get("/metrics").send(gateway.admin).await.unwrap();
        metrics = String::from_utf8_lossy(&answer.body).into_owned();
        metrics.contains("symbolon_ws_disconnects_total{route=\"chat\",reason=\"client\"} 1")
    })
    .await;
    metrics
}
