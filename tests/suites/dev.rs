//! `symbolon dev` and its tour, run as a newcomer would.
//! Not here: the single claims, which the tour checks itself.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Signal, test_kill_process};
use symbolon_e2e::dev::Dev;
use symbolon_e2e::http::Call;
use symbolon_e2e::process::{Process, binary, wait_for};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_tour_passes_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("symbolon"));
    command.args(["dev", "--check", "--exit-with-parent"]);
    let mut tour = Process::start("tour", command, folder.path());
    let code = tour.ended(Duration::from_mins(2)).await;
    let said = tour.log();
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(code, Some(0), "{said}");
    assert!(last.ends_with(" steps passed, 0 failed"), "{last}");
    let steps: u32 = last.split(' ').next().unwrap().parse().unwrap();
    assert!(steps >= 15, "only {steps} steps");
}

#[tokio::test]
async fn the_tour_passes_a_second_time_in_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    for time in ["first", "second"] {
        let mut command = Command::new(binary("symbolon"));
        command.args(["dev", "--check", "--exit-with-parent", "--state-dir"]).arg(&state);
        let mut tour = Process::start("tour", command, folder.path());
        let code = tour.ended(Duration::from_mins(2)).await;
        assert_eq!(code, Some(0), "{time}: {}", tour.log());
    }
}

#[test]
fn a_folder_with_files_of_somebody_else_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), "mine").unwrap();
    let run = symbolon(&["dev", "--check", "--state-dir", folder.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(64), "{said}");
    assert!(said.contains("not empty"), "{said}");
    assert_eq!(std::fs::read_to_string(folder.path().join("gateway.yaml")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn one_ready_object_says_where_everything_is_and_a_signal_ends_it_all() {
    let mut dev = Dev::start().await;
    for member in ["broker.url", "broker.socket", "sidecar.url", "gateway.url", "api.url", "client.key"] {
        assert!(!dev.text(member).is_empty());
    }
    let answer = Call::get("/orders/1").send(dev.address("sidecar.upstreams.orders")).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let programs = children(&dev.process);
    assert_eq!(programs.len(), 3, "{programs:?}");
    assert_eq!(dev.process.stop(Signal::INT).await, Some(0), "{}", dev.process.log());
    assert!(dev.process.log().contains("requests that reached the API"), "{}", dev.process.log());
    assert!(programs.iter().all(|pid| test_kill_process(*pid).is_err()), "a program still runs");
    assert!(!dev.state_dir.exists(), "the temporary folder is left behind");
}

#[tokio::test]
async fn the_programs_end_when_dev_is_killed() {
    let mut dev = Dev::start().await;
    let programs = children(&dev.process);
    dev.process.kill();
    wait_for("the programs end too", SOON, async || {
        programs.iter().all(|pid| test_kill_process(*pid).is_err())
    })
    .await;
    // Killed, it could not remove its folder.
    std::fs::remove_dir_all(&dev.state_dir).unwrap();
}

#[tokio::test]
async fn a_named_state_folder_keeps_keys_and_policies_for_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut dev = Dev::start_in(folder.path(), Some(&folder.path().join("state"))).await;
        let published = Call::get("/.well-known/jwks.json").send(dev.address("broker.url")).await.unwrap();
        keys.push((published.body, std::fs::read(dev.file("curl-client.pem")).unwrap()));
        let policy = dev.file("policies/payroll.cedar");
        let text = std::fs::read_to_string(&policy).unwrap();
        std::fs::write(&policy, format!("{text}// mine\n")).unwrap();
        assert_eq!(dev.process.stop(Signal::TERM).await, Some(0));
    }
    assert_eq!(keys[0], keys[1]);
    let policy = std::fs::read_to_string(folder.path().join("state/policies/payroll.cedar")).unwrap();
    assert_eq!(policy.matches("// mine").count(), 2);
}

#[tokio::test]
async fn a_taken_port_is_said_with_the_way_out() {
    let dev = Dev::shared().await;
    let base = dev.address("broker.url").port().to_string();
    let run = symbolon(&["dev", "--port-base", &base]);
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(1) && said.contains("--port-base 0"), "{said}");
}

#[test]
fn other_addresses_than_loopback_are_refused() {
    for bind in ["0.0.0.0", "::", "192.0.2.1"] {
        let run = symbolon(&["dev", "--bind", bind]);
        assert_eq!(run.status.code(), Some(64), "{bind}");
        assert!(String::from_utf8_lossy(&run.stderr).contains("loopback"), "{bind}");
    }
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let nowhere = ["--broker-admin", "/nonexistent/admin.sock"];
    assert_eq!(
        symbolon(&["explain", "b-00000000000000000000000000", nowhere[0], nowhere[1]]).status.code(),
        Some(69)
    );
    assert_eq!(symbolon(&["explain", "nonsense"]).status.code(), Some(64));
    assert_eq!(symbolon(&["explain", "proof_replayed"]).status.code(), Some(0));
    assert_eq!(symbolon(&["no-such-command"]).status.code(), Some(64));
    assert_eq!(symbolon(&["--version"]).status.code(), Some(0));
    assert_eq!(symbolon(&["token", "inspect", "/nonexistent/file"]).status.code(), Some(1));
}

#[tokio::test]
async fn the_sidecars_token_is_printed_by_token_get_and_redacted_by_token_inspect() {
    let dev = Dev::shared().await;
    let folder = dev.state_dir.to_str().unwrap();
    let got = symbolon(&["token", "get", "--upstream", "notes", "--state-dir", folder]);
    assert_eq!(got.status.code(), Some(0), "{}", String::from_utf8_lossy(&got.stderr));
    let token = String::from_utf8(got.stdout).unwrap().trim().to_owned();
    let signature = token.rsplit('.').next().unwrap();
    let file = dev.file("inspected-token");
    std::fs::write(&file, &token).unwrap();
    for form in ["table", "json", "jsonl", "yaml"] {
        let shown = symbolon(&["token", "inspect", file.to_str().unwrap(), "-o", form]);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains("at+jwt") && text.contains("https://notes.internal"), "{text}");
        assert!(!text.contains(signature) && !text.contains(&token), "{form} shows the signature");
    }
    let denied = symbolon(&["token", "get", "--upstream", "payroll", "--state-dir", folder]);
    assert_eq!(denied.status.code(), Some(2), "{}", String::from_utf8_lossy(&denied.stderr));
    assert!(denied.stdout.is_empty());
}

#[test]
fn a_token_given_as_an_argument_is_a_usage_error_that_does_not_repeat_it() {
    let token = format!("eyJhbGciOiJFUzI1NiJ9.{}.c2VjcmV0", "e30".repeat(20));
    let bearer = format!("Bearer {token}");
    let option = format!("--token={token}");
    for arguments in [
        vec!["token", "inspect", &token],
        vec!["token", "inspect", &bearer],
        vec!["token", "inspect", "-", &token],
        vec!["token", "inspect", &option],
        vec!["token", "get", "--upstream", "notes", &token],
        vec!["explain", &token],
        vec![&token],
    ] {
        let run = symbolon(&arguments);
        let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        assert_eq!(run.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(!said.contains("c2VjcmV0") && !said.contains("eyJhbGci"), "{said}");
    }
}

#[tokio::test]
async fn token_get_asks_a_sidecar_on_a_unix_socket() {
    let dev = Dev::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("token.sock");
    let config = format!(
        "broker: {{ url: \"{url}\", socket: \"{attest}\" }}\nevidence: {{ unix: {{}} }}\n\
         listen: {{ health: \"{health}\", endpoints: {{ unix: \"{socket}\" }} }}\n\
         upstreams: [{{ name: notes, target: \"{gateway}\", resource: \"https://notes.internal\", scope: \"notes:read\", allow_bearer: true }}]\n",
        url = dev.text("broker.url"),
        attest = dev.text("broker.socket"),
        health = symbolon_e2e::machine::free_address(),
        socket = socket.display(),
        gateway = dev.text("gateway.url"),
    );
    let file = folder.path().join("sidecar.yaml");
    std::fs::write(&file, config).unwrap();
    let mut sidecar = Process::program("symbolon-sidecar", "run", &file);
    wait_for("the socket is there", SOON, async || {
        assert!(sidecar.is_running(), "{}", sidecar.log());
        socket.exists()
    })
    .await;
    let place = format!("unix:{}", socket.display());
    let got = symbolon(&["token", "get", "--upstream", "notes", "--sidecar", &place]);
    assert_eq!(got.status.code(), Some(0), "{}", String::from_utf8_lossy(&got.stderr));
    assert!(String::from_utf8(got.stdout).unwrap().starts_with("eyJ"));
    let relative = symbolon(&["token", "get", "--upstream", "notes", "--sidecar", "unix:token.sock"]);
    assert_eq!(relative.status.code(), Some(64));
}

#[tokio::test]
async fn what_dev_prints_for_people_names_commands_that_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary("symbolon"));
    command.args(["dev", "--port-base", "0", "--exit-with-parent"]);
    let mut dev = Process::start("dev", command, folder.path());
    wait_for("the text is printed", Duration::from_secs(30), async || {
        assert!(dev.is_running(), "{}", dev.log());
        dev.log().contains("Ctrl-C ends everything")
    })
    .await;
    let said = dev.log();
    assert!(said.contains("DEVELOPMENT ONLY"), "{said}");
    let commands: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl") || line.starts_with("sed"))
        .collect();
    let [allowed, explained, edited] = commands[..] else { panic!("three commands are expected:\n{said}") };
    let allowed = shell(allowed, folder.path());
    assert!(String::from_utf8_lossy(&allowed.stdout).contains("x-workload-id"), "{allowed:?}");
    let explained = shell(explained, folder.path());
    assert_eq!(explained.status.code(), Some(2), "{explained:?}");
    assert!(String::from_utf8_lossy(&explained.stdout).contains("nobody-may-read-payroll"), "{explained:?}");
    let edited = shell(edited, folder.path());
    assert!(String::from_utf8_lossy(&edited.stdout).contains("x-workload-id"), "{edited:?}");
    assert_eq!(dev.stop(Signal::INT).await, Some(0));
    let summary = dev.log();
    for line in [
        "requests that reached the API",
        "let through by the gateway",
        "answered by the broker",
        "reason=\"denied\"",
    ] {
        assert!(summary.contains(line), "`{line}` is missing in\n{summary}");
    }
}

fn shell(command: &str, folder: &Path) -> Output {
    Command::new("bash").arg("-c").arg(command).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn symbolon(arguments: &[&str]) -> Output {
    Command::new(binary("symbolon")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The direct children of a process, by Linux's list.
fn children(process: &Process) -> Vec<rustix::process::Pid> {
    let pid = process.pid().as_raw_nonzero();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    let pids: Vec<String> =
        lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    pids.iter().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)).collect()
}
