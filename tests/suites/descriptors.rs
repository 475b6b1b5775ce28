//! The limit on open files: every program raises its own as far as it may, and says when that is too little.
//! Not here: what a listener does without descriptors, which is tested beside it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use symbolon_e2e::machine::free_address;
use symbolon_e2e::process::{Process, binary, wait_for};

const SOON: Duration = Duration::from_secs(10);

/// A gateway under these limits of the shell.
fn gateway(folder: &Path, ulimit: &str) -> Process {
    let config = folder.join("gateway.yaml");
    let text = format!(
        "listen: \"{}\"\nadmin: {{ listen: \"{}\" }}\nlog: {{ format: json }}\nlimits: {{ connections: 400 }}\n\
         routes: [{{ name: all, match: {{ path: /** }}, public: true, upstream: {{ url: \"http://127.0.0.1:9\" }} }}]\n",
        free_address(),
        free_address()
    );
    std::fs::write(&config, text).unwrap();
    let script = format!("{ulimit} && exec \"$0\" serve --exit-with-parent --config \"$1\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script]).arg(binary("symbolon-gateway")).arg(config);
    Process::start("gateway", command, folder)
}

/// The soft and the hard limit on open files, as the kernel has them.
fn limits(process: &Process) -> Option<(String, String)> {
    let text = std::fs::read_to_string(format!("/proc/{}/limits", process.pid().as_raw_nonzero())).ok()?;
    let mut numbers = text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace();
    Some((numbers.next()?.to_owned(), numbers.next()?.to_owned()))
}

#[tokio::test]
async fn a_program_takes_as_many_descriptors_as_it_may_have() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(folder.path(), "ulimit -Sn 256 && ulimit -Hn 2000");
    let all = Some(("2000".to_owned(), "2000".to_owned()));
    wait_for("the soft limit is the hard one", SOON, async || limits(&gateway) == all).await;
    wait_for("it serves", SOON, async || gateway.log().contains("server.listening")).await;
    assert!(!gateway.log().contains("limits.descriptors_short"), "{}", gateway.log());
}

#[tokio::test]
async fn a_limit_that_is_too_low_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(folder.path(), "ulimit -n 256");
    wait_for("the warning", SOON, async || gateway.log().contains("limits.descriptors_short")).await;
    assert!(gateway.log().contains("864"), "400 connections need 864:\n{}", gateway.log());
}
