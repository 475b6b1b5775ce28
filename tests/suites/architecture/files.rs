//! The files: how long they may be, and what each crate must have.
//! Not here: what clippy sees.

use std::fs;
use std::path::{Path, PathBuf};

use symbolon_e2e::process::workspace;

use super::{members, metadata};

const MAX_LINES: usize = 500;

#[test]
fn no_source_file_is_longer_than_500_lines_without_its_tests() {
    let mut long = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        let code =
            text.lines().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(text.lines().count());
        if code > MAX_LINES {
            long.push(format!("{}: {code} lines", file.display()));
        }
    }
    assert!(long.is_empty(), "look for the missing noun in\n{}", long.join("\n"));
}

#[test]
fn every_crate_opts_in_to_the_lints_and_has_a_readme_that_is_its_documentation() {
    for (name, package) in members(&metadata()) {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "`{name}` does not opt in to the workspace's lints"
        );
        let folder = package.manifest_path.parent().unwrap();
        assert!(folder.join("README.md").is_file(), "`{name}` has no README.md");
        let root = ["src/lib.rs", "src/main.rs"]
            .map(|file| folder.join(file))
            .into_iter()
            .find(|path| path.is_file());
        let text = fs::read_to_string(root.unwrap()).unwrap();
        assert!(
            text.contains("include_str!(\"../README.md\")"),
            "`{name}` does not use its README as documentation"
        );
    }
}

#[test]
fn every_module_says_what_it_is_and_what_it_is_not() {
    let mut silent = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        let root = matches!(file.file_name().and_then(|name| name.to_str()), Some("lib.rs" | "main.rs"));
        let lines = text.lines().take_while(|line| line.starts_with("//!")).count();
        if !root && lines < 2 && !is_test_module(&file) {
            silent.push(file.display().to_string());
        }
    }
    assert!(silent.is_empty(), "two lines on top are missing in\n{}", silent.join("\n"));
}

fn is_test_module(file: &Path) -> bool {
    file.components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "suites" | "vectors")))
}

/// All Rust files of the members.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (_, package) in members(&metadata()) {
        let folder = package.manifest_path.parent().unwrap();
        for inside in ["src", "suites"] {
            collect(folder.join(inside).as_std_path(), &mut found);
        }
    }
    assert!(found.len() > 50, "found only {} files in {}", found.len(), workspace().display());
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
