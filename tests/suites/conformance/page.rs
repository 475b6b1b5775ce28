//! `docs/conformance.md`, from the requirements.
//! Not here: reading them.

use std::fmt::Write as _;

use super::requirements::{Requirement, Rfc};
use super::written_tests::WrittenTests;

const INTRODUCTION: &str = "# Conformance

Generated from [`tests/conformance/`](../tests/conformance) by `scripts/generate`; do not edit it here.

What the RFCs ask of a server or a resource like ours, in our words, and the tests that show it. A name is that of the test as `cargo test` prints it, after
the test program (`suites`, `serving`, `gateway`, `wire`, `sockets`) or the crate (`symbolon_proof`) that it is in. *Does not apply* and *not built* say why there is
none. A test of the landing tier fails when a name leads nowhere, a requirement has neither a test nor a reason, or this page is stale.
";

/// The page.
pub(super) fn write(rfcs: &[Rfc], tests: &WrittenTests) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str(
        "\n| RFC | requirements | shown by tests | do not apply | not built |\n|---|---|---|---|---|\n",
    );
    for rfc in rfcs {
        let count = |fits: fn(&Requirement) -> bool| rfc.requirements.iter().filter(|one| fits(one)).count();
        let shown = count(|one| one.absent.is_none());
        let unbuilt = count(|one| one.absent.as_ref().is_some_and(|why| why.starts_with("not built")));
        let all = rfc.requirements.len();
        let (number, foreign) = (rfc.number, all - shown - unbuilt);
        let title = heading(rfc);
        let anchor = title.to_lowercase().replace(' ', "-").replace([':', '(', ')'], "");
        writeln!(page, "| [{number}](#{anchor}) | {all} | {shown} | {foreign} | {unbuilt} |").unwrap();
    }
    for rfc in rfcs {
        write!(page, "\n## {}\n\n| § | requirement | level | shown by |\n|---|---|---|---|\n", heading(rfc))
            .unwrap();
        for requirement in &rfc.requirements {
            page.push_str(&row(rfc.number, requirement, tests));
        }
    }
    page
}

fn heading(rfc: &Rfc) -> String {
    format!("RFC {}: {}", rfc.number, rfc.title)
}

fn row(number: u32, requirement: &Requirement, tests: &WrittenTests) -> String {
    let Requirement { section, says, level, .. } = requirement;
    let place = section.split(' ').next().unwrap_or_default();
    let note = requirement.note.as_ref().map(|note| format!(" *{note}*")).unwrap_or_default();
    let links = || requirement.tests.iter().map(|name| link(name, tests)).collect::<Vec<_>>().join("<br>");
    let shown = requirement.absent.clone().unwrap_or_else(links);
    let level = level.as_str();
    let cells = [says.as_str(), &note].concat().replace('|', "\\|");
    format!(
        "| [{section}](https://www.rfc-editor.org/rfc/rfc{number}#section-{place}) | {cells} | {level} | {shown} |\n"
    )
}

fn link(name: &str, tests: &WrittenTests) -> String {
    let file = tests.file(name).unwrap_or_else(|| panic!("there is no test `{name}`"));
    format!("[`{name}`](../{file})")
}
