//! `symbolon inject` as a program: what goes in and comes out is the injector's, and so is the exit code.
//! Not here: what a pod gets, which is tested beside the injector's code.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use symbolon_e2e::process::{binary, workspace};

fn golden(name: &str) -> PathBuf {
    workspace().join("sidecar/injector/tests/golden").join(name)
}

/// Runs a program with these arguments and this standard input.
fn run(program: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn pod() -> String {
    fs::read_to_string(golden("plain.pod.yaml")).unwrap()
}

#[test]
fn manifests_go_through_as_through_the_injector_itself() {
    let config = golden("injector.yaml").display().to_string();
    let arguments = ["--config", &config, "-f", "-"];
    let through = run(&binary("symbolon"), &[&["inject"], arguments.as_slice()].concat(), &pod());
    let direct = run(&binary("symbolon-injector"), &[&["render"], arguments.as_slice()].concat(), &pod());
    assert_eq!((through.status.code(), direct.status.code()), (Some(0), Some(0)), "{through:?}");
    assert_eq!(through.stdout, direct.stdout);
    assert!(String::from_utf8(through.stdout).unwrap().contains("name: symbolon-sidecar"));
}

#[test]
fn exit_codes_and_messages_are_the_injectors() {
    let symbolon = binary("symbolon");
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("injector.yaml");
    fs::write(&broken, "sidecr: {}").unwrap();
    let said = run(&symbolon, &["inject", "--config", broken.to_str().unwrap(), "-f", "-"], &pod());
    assert_eq!(said.status.code(), Some(3), "{said:?}");
    assert!(said.stdout.is_empty() && String::from_utf8(said.stderr).unwrap().contains("injector.yaml"));
    let config = golden("injector.yaml").display().to_string();
    let on_host = pod().replace("spec:", "spec:\n  hostNetwork: true");
    let said = run(&symbolon, &["inject", "--config", &config, "-f", "-"], &on_host);
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(said.stdout.is_empty() && String::from_utf8(said.stderr).unwrap().contains("hostNetwork"));
    let said = run(&symbolon, &["inject", "--no-such-option"], "");
    assert_eq!(said.status.code(), Some(64), "{said:?}");
    assert!(String::from_utf8(said.stderr).unwrap().contains("--no-such-option"));
}

#[test]
fn help_says_whose_options_they_are_and_nothing_at_all_is_a_wrong_command_line() {
    let symbolon = binary("symbolon");
    let said = run(&symbolon, &["inject", "--help"], "");
    let help = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(0));
    assert!(help.contains("symbolon-injector render") && help.contains("Examples:"), "{help}");
    let said = run(&symbolon, &["inject", "--", "--help"], "");
    assert!(String::from_utf8(said.stdout).unwrap().contains("--selection"), "the injector's own options");
    assert_eq!(run(&symbolon, &["inject"], "").status.code(), Some(64));
}

#[test]
fn without_the_injector_it_is_said_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("symbolon");
    fs::copy(binary("symbolon"), &alone).unwrap();
    let said = run(&alone, &["inject", "--config", "injector.yaml", "-f", "-"], "");
    assert_eq!(said.status.code(), Some(69), "{said:?}");
    let message = String::from_utf8(said.stderr).unwrap();
    assert!(message.contains("put it beside `symbolon`") && message.contains("is missing"), "{message}");
}
