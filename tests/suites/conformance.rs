//! Which test shows which requirement of an RFC: `tests/conformance/` says so, `docs/conformance.md` shows it.
//! Not here: whether a test shows what it is listed for; who lists it has read it.

mod page;
mod reasons;
mod requirements;
mod written_tests;

use std::collections::BTreeSet;
use std::process::Command;

use symbolon_e2e::process::workspace;

use requirements::Rfc;
use written_tests::WrittenTests;

const PAGE: &str = "docs/conformance.md";
const RFCS: [u32; 8] = [7009, 7523, 7662, 8414, 8693, 8707, 9068, 9449];

#[test]
fn the_page_is_what_the_requirements_say() {
    let written = page::write(&Rfc::all(), &WrittenTests::find());
    let place = workspace().join(PAGE);
    if std::env::var_os("SYMBOLON_GENERATE").is_some() {
        std::fs::write(&place, &written).unwrap();
    }
    let found = std::fs::read_to_string(&place).unwrap_or_default();
    assert!(found == written, "{PAGE} is stale: run `scripts/generate`");
}

#[test]
fn every_requirement_has_a_test_that_exists_or_a_reason_why_not() {
    let (tests, mut faults) = (WrittenTests::find(), Vec::new());
    for rfc in Rfc::all() {
        for requirement in &rfc.requirements {
            let mut fault = |what: &str| {
                faults.push(format!(
                    "RFC {} §{} `{}`: {what}",
                    rfc.number, requirement.section, requirement.says
                ));
            };
            match (&requirement.tests[..], &requirement.absent) {
                ([], None) => fault("neither a test nor a reason"),
                ([_, ..], Some(_)) => fault("a reason, and tests"),
                ([], Some(reason)) if !is_reason(reason) => fault("the reason is none"),
                _ => {}
            }
            for name in requirement.tests.iter().filter(|name| tests.file(name).is_none()) {
                fault(&format!("there is no test `{name}`"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn is_reason(text: &str) -> bool {
    ["does not apply: ", "not built: "]
        .iter()
        .any(|start| text.strip_prefix(start).is_some_and(|why| why.len() > 10))
}

#[test]
fn the_rfcs_that_we_follow_are_all_there_and_nothing_stands_twice() {
    let all = Rfc::all();
    assert_eq!(all.iter().map(|rfc| rfc.number).collect::<Vec<_>>(), RFCS);
    for rfc in all {
        assert!(rfc.requirements.len() >= 10, "RFC {}: {}", rfc.number, rfc.requirements.len());
        let mut seen = BTreeSet::new();
        for requirement in &rfc.requirements {
            assert!(
                seen.insert(&requirement.says),
                "RFC {}: `{}` stands twice",
                rfc.number,
                requirement.says
            );
        }
    }
}

/// The names come from sources, because the other test programs are not built when this one runs. For this one program
/// the compiled list is at hand, and shows that the names are read as the compiler reads them.
#[test]
fn the_names_are_those_that_are_compiled() {
    let listed = |more: &[&str]| -> BTreeSet<String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let run = command.args(["--list", "--format", "terse"]).args(more).output().unwrap();
        let names = String::from_utf8(run.stdout).unwrap();
        let tests = names.lines().filter_map(|line| line.strip_suffix(": test"));
        tests.map(|name| format!("suites::{name}")).collect()
    };
    // What other tiers run shows nothing here.
    let compiled = &listed(&[]) - &listed(&["--ignored"]);
    let tests = WrittenTests::find();
    let read: BTreeSet<String> = tests.of("suites").map(str::to_owned).collect();
    let invented: Vec<_> = read.difference(&compiled).collect();
    let missed: Vec<_> = compiled.difference(&read).collect();
    assert!(invented.is_empty() && missed.is_empty(), "invented {invented:?}, missed {missed:?}");
    assert!(tests.of("symbolon_proof").count() > 20 && tests.of("gateway").count() > 50);
}
