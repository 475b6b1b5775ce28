//! The table of arrows: which of our crates may use which.
//! It is the one in `docs/decisions`; a new arrow is a decision, not an edit of convenience.

use std::collections::BTreeSet;

use super::{members, metadata, normal_dependencies};

const COMMON: &[&str] = &[
    "audit",
    "cel",
    "config",
    "daemon",
    "evidence",
    "http",
    "identity",
    "issuers",
    "jws",
    "kept",
    "program",
    "proof",
    "token",
    "token-endpoint",
    "wire",
];

/// Crate, and what it may use of ours. `*` stands for all of `common/` and the policies.
const ARROWS: &[(&str, &[&str])] = &[
    ("identity", &[]),
    ("jws", &[]),
    ("cel", &[]),
    ("config", &[]),
    ("daemon", &[]),
    ("wire", &["identity"]),
    ("policies", &["identity"]),
    ("audit", &["identity", "jws"]),
    // The command line that the three programs have in common.
    ("program", &["config", "daemon"]),
    // Proofs carry times, and a time is an identity::Timestamp everywhere.
    ("proof", &["identity", "jws"]),
    ("evidence", &["identity", "config", "http"]),
    ("token", &["identity", "jws", "proof"]),
    // A certificate is read like other secrets in files, and followed like other configuration.
    ("http", &["config", "daemon"]),
    // What programs keep in their cluster: the broker and the injector.
    ("kept", &["http"]),
    // The caller's side of the token endpoint, which sidecar and gateway share.
    ("token-endpoint", &["identity", "jws", "proof", "evidence", "wire", "http"]),
    ("issuers", &["identity", "jws", "token", "wire", "http"]),
    ("broker", &["*"]),
    // Not `token`: a sidecar carries tokens that it cannot read.
    (
        "sidecar",
        &[
            "identity",
            "jws",
            "proof",
            "evidence",
            "wire",
            "http",
            "config",
            "daemon",
            "program",
            "token-endpoint",
        ],
    ),
    // Not the sidecar that it injects: it writes that one's configuration, and links none of it.
    ("injector", &["identity", "http", "config", "daemon", "program", "kept"]),
    ("gateway-verifier", &["*"]),
    // No program: it talks to them over their sockets and files.
    (
        "cli",
        &[
            "identity", "jws", "token", "proof", "evidence", "wire", "http", "audit", "policies", "config",
            "daemon",
        ],
    ),
    // Only `broker`, `sidecar` and `gateway-verifier` are out: the suites run them as processes.
    ("e2e", &["*"]),
];

fn allowed(of: &str) -> Option<BTreeSet<&'static str>> {
    let (_, listed) = ARROWS.iter().find(|(name, _)| *name == of)?;
    let all = listed.contains(&"*").then(|| COMMON.iter().copied().chain(["policies"]));
    Some(listed.iter().copied().filter(|name| *name != "*").chain(all.into_iter().flatten()).collect())
}

#[test]
fn every_crate_uses_only_what_the_table_allows() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for (name, package) in members(&metadata) {
        let Some(allowed) = allowed(name) else {
            wrong.push(format!("`{name}` is not in the table"));
            continue;
        };
        let used = normal_dependencies(package).filter_map(|used| used.strip_prefix("symbolon-"));
        wrong.extend(
            used.filter(|used| !allowed.contains(used)).map(|used| format!("`{name}` may not use `{used}`")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_names_only_crates_that_exist() {
    let metadata = metadata();
    let members: BTreeSet<&str> = members(&metadata).into_iter().map(|(name, _)| name).collect();
    let named: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, members);
}

#[test]
fn test_dependencies_of_a_crate_do_not_run_against_the_arrows() {
    let metadata = metadata();
    for (name, package) in members(&metadata) {
        for dependency in package.dependencies.iter().filter_map(|used| used.name.strip_prefix("symbolon-")) {
            let programs = ["broker", "sidecar", "injector", "gateway-verifier", "cli", "e2e"];
            assert!(!programs.contains(&dependency), "`{name}` depends on the program `{dependency}`");
        }
    }
}
