//! Fences around foreign crates: who may use which, and what must not be in the tree at all.
//! Not here: licences and advisories, which cargo-deny reads.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::DependencyKind;
use symbolon_e2e::process::workspace;

use super::{members, metadata, normal_dependencies};

/// A foreign crate and the only ones of ours that may use it.
const FENCES: &[(&str, &[&str])] = &[
    // It links OpenSSL; it never verifies a presented token.
    ("josekit", &["broker"]),
    ("openssl", &[]),
    ("cedar-policy", &["policies"]),
    ("cedar-policy-core", &["policies"]),
    ("cel", &["cel"]),
    ("reqwest", &["http"]),
    ("kube", &["broker"]),
    ("saphyr-parser", &["config", "injector"]),
    ("sqlx", &["broker"]),
    (
        "prometheus-client",
        &["daemon", "http", "issuers", "broker", "sidecar", "injector", "gateway-verifier"],
    ),
];

/// In the suites, as a second opinion or to look into a store.
const TESTED_WITH: &[&str] = &["josekit", "openssl", "sqlx"];

#[test]
fn foreign_crates_stay_behind_their_fences() {
    let metadata = metadata();
    for (name, package) in members(&metadata) {
        for used in normal_dependencies(package) {
            if let Some((_, users)) = FENCES.iter().find(|(fenced, _)| *fenced == used) {
                assert!(users.contains(&name), "`{name}` may not use `{used}`, only {users:?} may");
            }
        }
        for used in package.dependencies.iter().filter(|used| used.kind == DependencyKind::Development) {
            let fence = FENCES.iter().find(|(fenced, _)| *fenced == used.name);
            let Some((_, users)) = fence else { continue };
            let tested = name == "e2e" && TESTED_WITH.contains(&used.name.as_str());
            assert!(tested || users.contains(&name), "`{name}` may not use `{}` in its tests", used.name);
        }
    }
}

#[test]
fn one_tls_provider_and_one_http_stack_are_in_the_tree() {
    let tree = tree();
    for banned in ["ring", "native-tls", "hyper-tls", "aws-lc-fips-sys"] {
        assert!(!tree.contains_key(banned), "`{banned}` is in the tree");
    }
    for single in ["reqwest", "hyper", "rustls", "tokio", "http", "aws-lc-rs", "serde", "tokio-rustls", "h2"]
    {
        let found = tree.get(single).cloned().unwrap_or_default();
        assert_eq!(found.len(), 1, "`{single}` is in the tree as {found:?}");
    }
}

/// The versions of every crate that is built on any platform. `cargo tree` knows which optional dependencies
/// are on; the lock file and `cargo metadata` list some that are not.
fn tree() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments =
        "tree --offline --workspace --target all --edges normal,build,dev --prefix none --format {p}";
    let run = Command::new(cargo).args(arguments.split(' ')).current_dir(workspace()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let mut tree: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(run.stdout).unwrap().lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            tree.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    tree
}

#[test]
fn foreign_crates_get_their_version_and_features_in_the_root_only() {
    for (name, package) in members(&metadata()) {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        let sections = text
            .split("\n[")
            .filter(|section| section.split(']').next().is_some_and(|title| title.ends_with("dependencies")));
        for line in sections.flat_map(|section| section.lines().skip(1)) {
            let line = line.trim();
            let inherited = line.is_empty() || line.starts_with('#') || line.ends_with(".workspace = true");
            assert!(inherited, "`{name}`: `{line}` does not come from [workspace.dependencies]");
        }
    }
}
