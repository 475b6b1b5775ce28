//! The program itself: its commands, exit codes and ready file.
//! Not here: what a running sidecar does.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::rig::eventually;

const GOOD: &str = r#"
broker: { url: "http://127.0.0.1:1" }
evidence: { token_file: { path: /nonexistent/token } }
upstreams:
  - name: orders
    listen: { tcp: "127.0.0.1:0", allow_any_local_process: true }
    target: http://127.0.0.1:1
    resource: https://orders.internal
listen: { health: "127.0.0.1:0" }
"#;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_symbolon-sidecar"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn validate(text: &str, folder: &Path) -> (Option<i32>, String) {
    let path = folder.join("sidecar.yaml");
    fs::write(&path, text).unwrap();
    let output = program().args(["config", "validate", "--config"]).arg(path).output().unwrap();
    (output.status.code(), said(&output))
}

fn said(output: &Output) -> String {
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_good_configuration_is_valid_and_makes_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.json");
    let text = format!("{GOOD}key: {{ file: {} }}\n", key.display());
    assert_eq!(validate(&text, folder.path()), (Some(0), String::new()));
    assert!(!key.exists());
}

#[test]
fn a_bad_configuration_ends_with_3_and_says_where_it_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to, expected) in [
        ("resource:", "resorce:", "did you mean `resource`?"),
        ("127.0.0.1:0", "0.0.0.0:0", "only a loopback address"),
        ("target: http", "ca_file: /ca.pem\n    target: http", "no effect"),
    ] {
        let (code, text) = validate(&GOOD.replacen(from, to, 1), folder.path());
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("sidecar.yaml:") && text.contains(expected), "{text}");
    }
    let (code, text) =
        validate(&format!("{GOOD}key: {{ file: {}/sidecar.yaml }}", folder.path().display()), folder.path());
    assert_eq!(code, Some(3), "{text}");
}

#[test]
fn the_schema_is_json_and_wrong_usage_ends_with_64() {
    let output = program().args(["config", "schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["type"], "object");
    let output = program().args(["config", "schemata"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[tokio::test]
async fn a_running_program_says_where_it_listens_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (config, ready) = (folder.path().join("sidecar.yaml"), folder.path().join("ready.json"));
    fs::write(&config, GOOD).unwrap();
    let mut run = program();
    run.args(["run", "--config"]).arg(&config).arg("--ready-file").arg(&ready).stderr(Stdio::null());
    let mut child = run.spawn().unwrap();
    eventually(async || ready.exists()).await;
    let addresses: serde_json::Value = serde_json::from_slice(&fs::read(&ready).unwrap()).unwrap();
    for address in [&addresses["health"], &addresses["upstreams"]["orders"]] {
        let address: std::net::SocketAddr = address.as_str().unwrap().parse().unwrap();
        assert_ne!(address.port(), 0);
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let ended = async || child.try_wait().unwrap().is_some();
    tokio::time::timeout(Duration::from_secs(10), eventually(ended)).await.unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
