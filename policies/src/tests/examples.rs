use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use symbolon_identity::LocalTimeName;

use super::set;
use crate::{Lint, MalformedTests, PolicySet, run_tests, untested};

#[test]
fn every_example_has_its_three_files_and_its_tests_pass() {
    // At run time, because clones may share a target folder.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&here).join("examples");
    let mut stories = 0;
    for entry in fs::read_dir(root).unwrap() {
        let story = entry.unwrap().path();
        let shown = story.display();
        assert!(story.join("README.md").is_file(), "{shown} has no README.md");
        let local_times = BTreeSet::from([LocalTimeName::parse("office").unwrap()]);
        let names = if shown.to_string().contains("office") { local_times } else { BTreeSet::new() };
        let set = PolicySet::load(&story, &names).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(set.warnings().is_empty(), "{shown}: {:?}", set.warnings());
        let tests = fs::read_to_string(story.join("tests.json")).unwrap();
        let outcomes = run_tests(&set, &tests).unwrap();
        for outcome in &outcomes {
            assert_eq!(outcome.failure, None, "{shown}: {}", outcome.name);
        }
        assert_eq!(untested(&set, &outcomes), [], "{shown}: no test is decided by these");
        let findings = set.lint();
        assert!(findings.iter().all(|finding| finding.rule == Lint::NoOwner), "{shown}: {findings:?}");
        stories += 1;
    }
    assert!(stories >= 6, "no stories were found");
}

#[test]
fn a_test_that_does_not_fit_fails_by_itself() {
    let set = set("@id(\"a\") permit (principal, action, resource);").unwrap();
    let case = |action: &str, decision: &str, reason: &str| {
        format!(
            r#"{{"name":"t","request":{{"principal":"Symbolon::Workload::\"w\"","action":"Symbolon::Action::\"{action}\"",
            "resource":"Symbolon::Resource::\"r\"","context":{{"scope":"","key_bound":true,
            "now":{{"__extn":{{"fn":"datetime","arg":"2026-01-01"}}}}}}}},"entities":[],
            "decision":"{decision}","reason":{reason},"num_errors":0}}"#
        )
    };
    for (test, passes) in [
        (case("issue", "allow", "[\"a\"]"), true),
        (case("issue", "deny", "[]"), false),
        (case("issue", "allow", "[\"b\"]"), false),
        (case("isue", "allow", "[]"), false),
        (case("call", "allow", "[]"), false),
    ] {
        let outcomes = run_tests(&set, &format!("[{test}]")).unwrap();
        assert_eq!(outcomes[0].failure.is_none(), passes, "{test}: {outcomes:?}");
    }
    assert!(matches!(run_tests(&set, "[]"), Err(MalformedTests::Empty)));
    assert!(matches!(run_tests(&set, "{}"), Err(MalformedTests::Json(_))));
}
