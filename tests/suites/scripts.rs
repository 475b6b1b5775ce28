//! `scripts/setup` on machines that lack something, and what shell scripts can be told without being run.
//! Not here: installing anything, which would change the machine that runs the tests.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use symbolon_e2e::process::workspace;
use tempfile::TempDir;

/// What the script itself is made of.
const TOOLS: [&str; 6] = ["bash", "env", "dirname", "mkdir", "cat", "rm"];

/// A machine with nothing but the tools of the script, and programs that only note how they were called.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new(programs: &[(&str, &str)]) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(machine.bin()).unwrap();
        for tool in TOOLS {
            let found =
                ["/usr/bin", "/bin"].iter().map(|bin| Path::new(bin).join(tool)).find(|path| path.exists());
            symlink(found.unwrap(), machine.bin().join(tool)).unwrap();
        }
        for (name, body) in programs {
            let path = machine.bin().join(name);
            let calls = machine.folder.path().join("calls");
            fs::write(&path, format!("#!/bin/bash\necho \"{name} $*\" >>'{}'\n{body}\n", calls.display()))
                .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    fn setup(&self, want: &str) -> Output {
        let mut command = Command::new("bash");
        command.arg(workspace().join("scripts/setup")).arg(want).stdin(Stdio::null());
        command.env_clear().env("PATH", self.bin()).env("HOME", self.folder.path()).env("CI", "1");
        command.output().unwrap()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default()
    }
}

/// A cargo without the components for formatting and lints.
const BARE_CARGO: &str = "case \"$1\" in fmt|clippy) exit 1 ;; esac";
const COMPILERS: [(&str, &str); 2] = [("cc", ""), ("pkg-config", "")];

#[test]
fn who_may_not_install_packages_is_told_the_command_and_nothing_else_happens() {
    let id = ("id", "echo 1000");
    let machine = Machine::new(&[COMPILERS[0], COMPILERS[1], id, ("cargo", ""), ("apt-get", "exit 1")]);
    let run = machine.setup("build");
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(
        said.lines()
            .any(|line| line.trim().starts_with("sudo apt-get install ") && line.ends_with("curl openssl")),
        "{said}"
    );
    assert!(!machine.calls().contains("apt-get"), "{}", machine.calls());
}

#[test]
fn missing_components_of_rust_are_added_or_said() {
    let rest = [COMPILERS[0], COMPILERS[1], ("curl", ""), ("openssl", ""), ("cargo", BARE_CARGO)];
    let with_rustup = Machine::new(&[&rest[..], &[("rustup", "")]].concat());
    let run = with_rustup.setup("lint");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(with_rustup.calls().contains("rustup component add rustfmt clippy"), "{}", with_rustup.calls());
    let without = Machine::new(&rest).setup("lint");
    let said = String::from_utf8_lossy(&without.stderr);
    assert!(without.status.code() == Some(1) && said.contains("rustfmt clippy"), "{said}");
    // To build and to run the demo, neither is needed.
    assert!(Machine::new(&rest).setup("build").status.success());
}

#[test]
fn every_script_is_well_formed_and_can_be_run() {
    let scripts = fs::read_dir(workspace().join("scripts")).unwrap().map(|entry| entry.unwrap().path());
    for script in scripts.filter(|path| path.is_file()) {
        let checked = Command::new("bash").arg("-n").arg(&script).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let sourced = script.extension().is_some();
        let executable = fs::metadata(&script).unwrap().permissions().mode() & 0o111 != 0;
        assert_ne!(sourced, executable, "{}", script.display());
    }
}
