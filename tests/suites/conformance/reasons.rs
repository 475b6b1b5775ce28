//! Each reason code, and the tests that provoke it over the wire: `tests/reason-codes.txt` becomes
//! `docs/reason-codes.md`.
//! Not here: that each is explained (`refusals` of the harness), and in one line (`policies::explained`).

use std::fmt::Write as _;

use symbolon_e2e::process::workspace;
use symbolon_identity::ReasonCode;

use super::written_tests::WrittenTests;

const PAGE: &str = "docs/reason-codes.md";
const HEAD: &str = "\
# Reason codes

Every refusal has one, in `error_description` of the broker (before the colon) and in `code` of gateway and sidecar. They are stable. `symbolon explain CODE` says the same as this table; `symbolon explain ID`, with the
decision id that the refusal carries, says at which stage and why. The page is made of `common/identity/src/reason.rs` and `tests/reason-codes.txt`.

| code | what it means; what to do | provoked by |
|---|---|---|
";

/// The tests that provoke a code, or why none does.
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

    fn cell(&self) -> String {
        match self {
            Self::Tests(tests) => {
                tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join("<br>")
            }
            Self::DoesNotApply(reason) => format!("none: {reason}"),
        }
    }
}

/// The code and the tests of one line.
fn rows() -> Vec<(String, Shown)> {
    let text = std::fs::read_to_string(workspace().join("tests/reason-codes.txt")).unwrap();
    let row = |line: &str| {
        let (code, shown_by) = line.split_once(" | ").unwrap();
        (code.to_owned(), Shown::parse(shown_by))
    };
    text.lines().map(row).collect()
}

#[test]
fn each_reason_code_is_provoked_by_a_test_that_exists() {
    let (rows, written) = (rows(), WrittenTests::find());
    let named: Vec<&str> = rows.iter().map(|(code, _)| code.as_str()).collect();
    let all: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(named, all, "one line for each, in their order");
    for (code, shown_by) in rows {
        if let Shown::Tests(tests) = shown_by {
            for test in tests {
                assert!(written.file(&test).is_some(), "{code}: there is no test `{test}`");
            }
        }
    }
}

#[test]
fn the_page_is_made_of_the_codes() {
    let mut page = HEAD.to_owned();
    for ((code, shown_by), reason) in rows().into_iter().zip(ReasonCode::ALL) {
        let _ =
            writeln!(page, "| <a id=\"{code}\"></a>`{code}` | {} | {} |", reason.advice(), shown_by.cell());
    }
    let place = workspace().join(PAGE);
    if std::env::var_os("SYMBOLON_GENERATE").is_some() {
        std::fs::write(&place, &page).unwrap();
    }
    let found = std::fs::read_to_string(&place).unwrap_or_default();
    assert!(found == page, "{PAGE} is stale: run `scripts/generate`");
}
