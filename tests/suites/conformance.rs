//! Which test shows which requirement of which RFC: `tests/conformance/*.txt` becomes `docs/conformance.md`.
//! Not here: the tests themselves.

mod reasons;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use symbolon_e2e::process::workspace;

const PAGE: &str = "docs/conformance.md";
/// Each with the sections that concern a server like ours; a row for each is wanted.
const RFCS: [(&str, &[&str]); 8] = [
    ("rfc8693", &["2.1", "2.2.1", "2.2.2", "3", "4.1", "4.2", "4.3", "4.4", "5", "6"]),
    ("rfc7662", &["2", "2.1", "2.2", "2.3", "4", "5"]),
    ("rfc7009", &["2", "2.1", "2.2", "2.2.1", "2.3", "3", "5"]),
    ("rfc8414", &["2", "2.1", "3", "3.2", "3.3", "6.1"]),
    ("rfc9068", &["2.1", "2.2", "2.2.1", "2.2.2", "2.2.3", "2.2.3.1", "3", "4", "5"]),
    (
        "rfc9449",
        &[
            "4.2", "4.3", "5", "5.1", "5.2", "6.1", "6.2", "7.1", "7.2", "8", "9", "11.1", "11.2", "11.3",
            "11.5", "11.6", "11.7", "11.8", "11.9",
        ],
    ),
    ("rfc8707", &["2", "2.1", "2.2", "3"]),
    ("rfc7523", &["2.1", "2.2", "3", "3.2", "5"]),
];
const HEAD: &str = "\
# Conformance

Which test shows what of the standards that the broker and the gateway implement. The requirements are in our words; the level is that of the standard, or `MAY` where it leaves a choice that was made. The page
is made of `tests/conformance/` ([how to change it](../CONTRIBUTING.md#conformance)); a test fails if a row names no test, or a test that does not exist.

Tests with a path like `exchanging::actors::…` run the real programs over sockets (`tests/suites/`); those with a crate before them stand in that crate.
";

/// One row.
struct Row {
    section: String,
    level: String,
    requirement: String,
    shown_by: Shown,
}

enum Shown {
    Tests(Vec<String>),
    DoesNotApply(String),
}

impl Shown {
    fn parse(text: &str) -> Self {
        match text.strip_prefix("n/a: ") {
            Some(reason) => Self::DoesNotApply(reason.to_owned()),
            None => Self::Tests(text.split(", ").map(str::to_owned).collect()),
        }
    }
}

struct Document {
    title: String,
    rows: Vec<Row>,
}

fn read(name: &str) -> Document {
    let path = workspace().join(format!("tests/conformance/{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (title, rest) = text.split_once('\n').unwrap();
    let rows = rest.lines().filter(|line| !line.is_empty()).map(row).collect();
    Document { title: title.trim_start_matches("# ").to_owned(), rows }
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [section, level, requirement, shown_by] = cells[..] else {
        panic!("four cells, parted by ` | `: {line}")
    };
    assert!(["MUST", "SHOULD", "MAY"].contains(&level), "{line}");
    let shown_by = Shown::parse(shown_by);
    Row {
        section: section.to_owned(),
        level: level.to_owned(),
        requirement: requirement.to_owned(),
        shown_by,
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (name, _) in RFCS {
        let Document { title, rows } = read(name);
        let number = name.trim_start_matches("rfc");
        let _ = write!(
            page,
            "\n## RFC {number}: {title}\n\n| § | level | requirement | shown by |\n|---|---|---|---|\n"
        );
        for Row { section, level, requirement, shown_by } in rows {
            let link = format!("[{section}](https://www.rfc-editor.org/rfc/rfc{number}#section-{section})");
            let shown = shown(&shown_by);
            let _ = writeln!(page, "| {link} | {level} | {requirement} | {shown} |");
        }
    }
    page
}

fn shown(shown_by: &Shown) -> String {
    let name = |test: &String| format!("`{}`", test.trim_start_matches("unit:"));
    match shown_by {
        Shown::Tests(tests) => tests.iter().map(name).collect::<Vec<_>>().join("<br>"),
        Shown::DoesNotApply(reason) => format!("does not apply: {reason}"),
    }
}

/// The names of this binary's own tests.
fn suites() -> BTreeSet<String> {
    let listed = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// Whether a folder has a test function of this name.
fn has_test(folder: &Path, name: &str) -> bool {
    std::fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return has_test(&path, name);
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            return false;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
        before
            .rsplit('}')
            .next()
            .is_some_and(|head| head.contains("#[test]") || head.contains("#[tokio::test"))
    })
}

fn exists(test: &str, suites: &BTreeSet<String>) -> bool {
    match test.strip_prefix("unit:").and_then(|unit| unit.split_once(' ')) {
        Some((folder, function)) => has_test(&workspace().join(folder), function),
        None => suites.contains(test),
    }
}

/// Checks that a page is what is made of other files, after writing it if `scripts/pages` asks for that.
fn assert_made(page: &str, made: &str) {
    let path = workspace().join(page);
    if std::env::var_os("SYMBOLON_WRITE_PAGES").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "{page} is not what `scripts/pages` writes: run it");
}

#[test]
fn every_row_names_tests_that_exist() {
    let suites = suites();
    for (name, _) in RFCS {
        for row in read(name).rows {
            let Shown::Tests(tests) = row.shown_by else { continue };
            for test in tests {
                assert!(exists(&test, &suites), "{name} §{}: there is no test `{test}`", row.section);
            }
        }
    }
}

#[test]
fn every_section_that_concerns_us_has_a_row() {
    for (name, wanted) in RFCS {
        let rows = read(name).rows;
        let sections: BTreeSet<&str> = rows.iter().map(|row| row.section.as_str()).collect();
        assert_eq!(sections, wanted.iter().copied().collect(), "{name}");
    }
}

#[test]
fn the_page_is_made_of_the_requirements() {
    assert_made(PAGE, &page());
}
