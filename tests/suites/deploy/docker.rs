//! The Dockerfiles: their build steps, run as a script, and their fit with the chart.
//! Not here: building images, which takes a container runtime.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{MetadataCommand, TargetKind};
use symbolon_e2e::process::{binaries, workspace};

use super::manifests::{Manifests, list, text};

/// Image, program.
const IMAGES: [(&str, &str); 4] = [
    ("broker", "symbolon-broker"),
    ("gateway", "symbolon-gateway"),
    ("injector", "symbolon-injector"),
    ("sidecar", "symbolon-sidecar"),
];

fn dockerfile(image: &str) -> String {
    fs::read_to_string(workspace().join(format!("deploy/docker/{image}.Dockerfile"))).unwrap()
}

/// What follows an instruction, each time it is given.
fn instructions<'a>(dockerfile: &'a str, name: &str) -> Vec<&'a str> {
    let name = format!("{name} ");
    dockerfile.lines().filter_map(|line| line.strip_prefix(name.as_str())).collect()
}

/// The programs of the workspace.
fn programs() -> BTreeSet<String> {
    let metadata = MetadataCommand::new().current_dir(workspace()).no_deps().exec().unwrap();
    let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
    targets.filter(|target| target.is_kind(TargetKind::Bin)).map(|target| target.name).collect()
}

#[test]
fn every_program_that_serves_has_an_image() {
    let images = IMAGES.map(|(_, program)| program.to_owned());
    for program in programs().iter().filter(|program| *program != "symbolon") {
        assert!(images.contains(program), "`{program}` has no Dockerfile");
    }
    let files = fs::read_dir(workspace().join("deploy/docker")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(
        files.filter(|path| path.extension().is_some_and(|end| end == "Dockerfile")).count(),
        IMAGES.len()
    );
}

#[test]
fn images_hold_no_shell_and_run_as_nobody() {
    let rust = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let rust = rust.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    for (image, program) in IMAGES {
        let file = dockerfile(image);
        assert_eq!(instructions(&file, "FROM"), ["${RUST_IMAGE} AS build", "scratch"], "{image}");
        assert_eq!(instructions(&file, "ARG"), [format!("RUST_IMAGE=rust:{rust}-bookworm")], "{image}");
        assert_eq!(instructions(&file, "USER"), ["65532:65532"], "{image}");
        assert_eq!(instructions(&file, "ENTRYPOINT"), [format!("[\"/usr/bin/{program}\"]")], "{image}");
    }
}

#[test]
fn ports_and_commands_are_those_of_the_chart() {
    let manifests = Manifests::rendered("default");
    for pod in manifests.pods() {
        let container = &list(&pod.spec["containers"])[0];
        let Some((image, _)) = IMAGES.iter().find(|(image, _)| *image == text(&container["name"])) else {
            continue;
        };
        let file = dockerfile(image);
        let ports: Vec<String> =
            list(&container["ports"]).iter().map(|port| port["containerPort"].to_string()).collect();
        assert_eq!(instructions(&file, "EXPOSE"), [ports.join(" ")], "{image}");
        let command: Vec<String> = serde_json::from_str(instructions(&file, "CMD")[0]).unwrap();
        let arguments: Vec<&str> = list(&container["args"]).iter().map(text).collect();
        assert_eq!(command, arguments, "{image}");
    }
}

#[test]
fn the_build_steps_lay_out_a_root_that_needs_nothing_else() {
    let there = programs();
    for (image, program) in IMAGES.iter().filter(|(_, program)| there.contains(*program)) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("rootfs");
        for step in instructions(&dockerfile(image), "RUN") {
            run(step, folder.path(), &root);
        }
        let called = fs::read_to_string(folder.path().join("called")).unwrap();
        assert!(
            called.starts_with("build --locked --release --bin=") && called.contains(program),
            "{called}"
        );
        let runnable: BTreeSet<String> = files(&root.join("usr/bin")).iter().map(|path| name(path)).collect();
        assert!(runnable.contains(*program), "{image}: {runnable:?}");
        for file in files(&root) {
            let library = name(&file).contains(".so");
            let known =
                library || file.starts_with(root.join("usr/bin")) || file.starts_with(root.join("etc"));
            assert!(known, "{image}: {}", file.display());
        }
        for program in runnable {
            answers(&root, &root.join("usr/bin").join(program));
        }
    }
}

/// A build step, with a cargo that hands out the programs beside this test.
fn run(step: &str, folder: &Path, root: &Path) {
    let (tools, built) = (folder.join("tools"), folder.join("target/release"));
    fs::create_dir_all(&tools).unwrap();
    fs::create_dir_all(&built).unwrap();
    let cargo = format!(
        "#!/bin/sh\necho \"$@\" >'{}'\nfor word; do case \"$word\" in --bin=*) ln -s \"{}/${{word#--bin=}}\" '{}' ;; esac; done\n",
        folder.join("called").display(),
        binaries().display(),
        built.display()
    );
    fs::write(tools.join("cargo"), cargo).unwrap();
    fs::set_permissions(tools.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var_os("PATH").unwrap_or_default().display());
    let run = Command::new("bash")
        .args(["-euc", step])
        .current_dir(workspace())
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("ROOT", root)
        .output()
        .unwrap();
    assert!(run.status.success(), "{step}: {}", String::from_utf8_lossy(&run.stderr));
}

/// The program starts with the loader and the libraries of this root, and with no others.
fn answers(root: &Path, program: &Path) {
    let loader = files(root).into_iter().find(|path| name(path).starts_with("ld-linux")).unwrap();
    let libraries: BTreeSet<PathBuf> = files(root)
        .into_iter()
        .filter(|path| name(path).contains(".so"))
        .filter_map(|path| path.parent().map(Path::to_owned))
        .collect();
    let libraries: Vec<String> = libraries.iter().map(|path| path.display().to_string()).collect();
    let start = |arguments: &[&str]| {
        let mut command = Command::new(&loader);
        command
            .arg("--inhibit-cache")
            .arg("--library-path")
            .arg(libraries.join(":"))
            .args(arguments)
            .arg(program);
        command
    };
    let listed = start(&["--list"]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for line in listed.lines().filter(|line| line.contains("=> ")) {
        assert!(line.contains(&root.display().to_string()), "{}: {line}", program.display());
    }
    let run = start(&[]).arg("--version").output().unwrap();
    assert!(run.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&run.stderr));
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
