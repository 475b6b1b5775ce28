//! The program itself: started, asked, told to stop.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::wait_for;
use crate::harness::wire::ask;

const CONFIGURATION: &str = "
listen: 127.0.0.1:0
admin: { listen: '127.0.0.1:0' }
routes:
  - name: public
    match: { path: /** }
    public: true
    upstream: { url: 'http://127.0.0.1:9' }
";

#[tokio::test]
async fn it_says_when_it_is_ready_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (config, ready) = (folder.path().join("gateway.yaml"), folder.path().join("ready.json"));
    std::fs::write(&config, CONFIGURATION).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_symbolon-gateway"))
        .args(["serve", "--exit-with-parent", "--config"])
        .arg(&config)
        .arg("--ready-file")
        .arg(&ready)
        .env("SYMBOLON__LOG__FORMAT", "text")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the ready file", || ready.exists()).await;
    let addresses: serde_json::Value = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
    let (public, admin) = (addresses["public"].as_str().unwrap(), addresses["admin"].as_str().unwrap());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(ask(admin, get("/readyz").as_bytes()).await.status, 200);
    assert_eq!(ask(public, get("/").as_bytes()).await.code(), "upstream_unavailable");
    let metrics = ask(admin, get("/metrics").as_bytes()).await.text();
    assert!(metrics.contains("symbolon_build_info{program=\"symbolon-gateway\""), "{metrics}");

    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let ended = async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    assert!(status.success(), "{status}");
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty(), "programs print nothing on standard output");
}
