//! Three processes: a test, a parent, and a child that must not outlive the parent.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

fn another(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", role, "--ignored", "--nocapture"]);
    command
}

#[test]
fn a_child_ends_when_its_parent_is_killed() {
    let mut parent = another("the_parent").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(parent.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("armed") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child never came up");
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The child holds the other end of this pipe: its end is the end of the child.
    output.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
#[ignore = "runs as a process of another test"]
fn the_parent() {
    let mut child = another("the_child").spawn().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "runs as a process of another test"]
fn the_child() {
    symbolon_daemon::parent::exit_with_parent().unwrap();
    std::io::stdout().write_all(b"\narmed\n").unwrap();
    loop {
        std::thread::park();
    }
}
