//! The pages about Kubernetes: their examples are the tested ones, and the tests that they name exist.
//! Not here: the cluster that the how-to talks to.

use std::fs;
use std::path::Path;
use std::process::Command;

use symbolon_e2e::process::workspace;

fn page(name: &str) -> String {
    fs::read_to_string(workspace().join("docs").join(name)).unwrap()
}

/// The text between "```language" and "```" that holds `mark`.
fn block(page: &str, language: &str, mark: &str) -> String {
    let fence = format!("```{language}\n");
    let blocks = page.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next());
    let mut found = blocks.filter(|block| block.contains(mark));
    found.next().unwrap_or_else(|| panic!("no block with `{mark}`")).to_owned()
}

#[test]
fn the_values_of_the_how_to_are_those_that_are_tested() {
    let tested = fs::read_to_string(workspace().join("tests/kubernetes/chart/values/shop.yaml")).unwrap();
    let (_, tested) = tested.split_once('\n').unwrap();
    assert_eq!(block(&page("kubernetes.md"), "yaml", "tokenResources:").trim(), tested.trim());
}

#[test]
fn the_certificates_of_the_how_to_are_good_for_their_services() {
    let folder = tempfile::tempdir().unwrap();
    let commands = block(&page("kubernetes.md"), "console", "openssl req -x509");
    // What kubectl is given stays in the folder.
    let script = format!("set -eu\nkubectl() {{ :; }}\n{commands}");
    let run = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for name in ["broker", "gateway"] {
        let service = format!("symbolon-{name}.symbolon-system.svc");
        let certificate = format!("{name}.crt");
        let verify =
            ["verify", "-x509_strict", "-CAfile", "ca.crt", "-verify_hostname", &service, &certificate];
        let run = Command::new("openssl").args(verify).current_dir(folder.path()).output().unwrap();
        assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn the_tests_that_the_complaints_name_exist() {
    let page = page("kubernetes-complaints.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(rows.count(), 20);
    let named: Vec<&str> = page.split('`').filter(|word| word.starts_with("suites::")).collect();
    assert!(named.len() >= 10, "{named:?}");
    for name in named {
        let parts: Vec<&str> = name.split("::").skip(1).collect();
        let as_module = workspace().join("tests/suites").join(format!("{}.rs", parts.join("/")));
        let (function, modules) = parts.split_last().unwrap();
        let file = workspace().join("tests/suites").join(format!("{}.rs", modules.join("/")));
        assert!(as_module.is_file() || has_test(&file, function), "there is no `{name}`");
    }
}

fn has_test(file: &Path, function: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {function}()")))
}
