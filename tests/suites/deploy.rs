//! The sample configurations and units of `deploy/` fit the programs.
//! Not here: running them as a service.

mod accepted;
mod chart;
mod docker;
mod kubernetes;
pub(crate) mod manifests;
mod pages;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use symbolon_e2e::process::{binary, workspace};
use tempfile::TempDir;

const PROGRAMS: [(&str, &str, &str); 3] = [
    ("broker", "symbolon-broker", "serve"),
    ("sidecar", "symbolon-sidecar", "run"),
    ("gateway", "symbolon-gateway", "serve"),
];

#[test]
fn sample_configurations_are_valid() {
    let installed = Installed::new();
    for (name, program, _) in PROGRAMS {
        let file = installed.file(name);
        let run = validate(program, &file);
        assert!(run.0 == Some(0), "{}: exit {:?}\n{}", file.display(), run.0, run.1);
    }
}

#[test]
fn a_misspelt_key_is_refused_with_its_place_and_the_nearest_name() {
    let installed = Installed::new();
    for (name, program, _) in PROGRAMS {
        let file = installed.file(name);
        let text = fs::read_to_string(&file).unwrap();
        let line = text.lines().count() + 1;
        fs::write(&file, format!("{}\nlisten_typo_{name}: 1\n", text.trim_end())).unwrap();
        let (code, said) = validate(program, &file);
        assert_eq!(code, Some(3), "{name}: {said}");
        assert!(
            said.contains(&format!("{name}.yaml:{line}:1")) || said.contains(&format!(":{line}:1")),
            "{said}"
        );
        assert!(said.contains(&format!("listen_typo_{name}")), "{said}");
    }
}

#[test]
fn every_program_prints_a_schema_of_its_configuration() {
    for (name, program, _) in PROGRAMS {
        let run =
            Command::new(binary(program)).args(["config", "schema"]).stdin(Stdio::null()).output().unwrap();
        let schema: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(schema["type"], "object", "{name}");
    }
}

#[test]
fn the_units_name_the_programs_and_their_configurations() {
    for (name, program, verb) in PROGRAMS {
        let file = workspace().join(format!("deploy/systemd/{program}.service"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let start = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let words: Vec<&str> = start.split_whitespace().collect();
        assert!(words[0].ends_with(program), "{start}");
        assert_eq!(words[1], verb, "{start}");
        assert!(words.iter().any(|word| word.ends_with(&format!("{name}.yaml"))), "{start}");
        for hardening in ["NoNewPrivileges=", "ProtectSystem="] {
            assert!(text.contains(hardening), "{} lacks {hardening}", file.display());
        }
    }
}

#[test]
fn the_command_line_looks_for_the_admin_sockets_where_the_samples_put_them() {
    let help = Command::new(binary("symbolon")).args(["explain", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for (name, key, origin) in [("broker", "admin_socket: ", "b"), ("gateway", "socket: ", "g")] {
        let file = workspace().join(format!("deploy/config/{name}.yaml"));
        let text = fs::read_to_string(&file).unwrap();
        let sample = text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap().trim_matches('"');
        assert!(help.contains(&format!("[default: {sample}]")), "{sample} is not in\n{help}");
        let id = format!("{origin}-00000000000000000000000000");
        // Nobody listens there on a machine that runs tests, and the message says where it looked.
        let run = Command::new(binary("symbolon"))
            .args(["explain", &id])
            .env_remove("SYMBOLON_DEV")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.code() == Some(69) && said.contains(sample), "{said}");
        let unit =
            fs::read_to_string(workspace().join(format!("deploy/systemd/symbolon-{name}.service"))).unwrap();
        let folder = Path::new(sample).parent().and_then(Path::file_name).unwrap().to_str().unwrap();
        assert!(unit.lines().any(|line| line == format!("RuntimeDirectory={folder}")), "{sample}\n{unit}");
    }
}

/// The samples as an operator installs them, in a folder that stands for the root of the machine.
struct Installed {
    root: TempDir,
}

impl Installed {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc/symbolon");
        for folder in ["etc/symbolon/policies", "run/symbolon", "var/lib/symbolon"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for folder in [workspace().join("deploy/config"), workspace().join("deploy/config/policies")] {
            for path in fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.is_file())
            {
                let mut text = fs::read_to_string(&path).unwrap();
                for inside in ["/etc/symbolon", "/run/symbolon", "/var/lib/symbolon"] {
                    text = text.replace(inside, &format!("{}{inside}", root.path().display()));
                }
                let relative = path.strip_prefix(workspace().join("deploy/config")).unwrap();
                fs::write(etc.join(relative), text).unwrap();
            }
        }
        // What the pages tell the operator to make.
        fs::write(etc.join("sealing-key"), "07".repeat(32)).unwrap();
        fs::set_permissions(etc.join("sealing-key"), fs::Permissions::from_mode(0o400)).unwrap();
        Self { root }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(format!("etc/symbolon/{name}.yaml"))
    }
}

/// Exit code and what was said.
fn validate(program: &str, file: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(binary(program));
    command.args(["config", "validate", "--config"]).arg(file).stdin(Stdio::null());
    let run = command.output().unwrap();
    (
        run.status.code(),
        format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr)),
    )
}
