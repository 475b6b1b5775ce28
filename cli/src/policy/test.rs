//! `symbolon policy test`: runs the `tests.json` beside policies.
//! Not here: the format, which is that of Cedar's own `run-tests`.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};
use symbolon_policies::{PolicyId, TestOutcome, run_tests, untested};

use super::{Folder, load};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};

/// Options of `symbolon policy test`.
#[derive(Debug, clap::Args)]
pub(crate) struct TestOptions {
    #[command(flatten)]
    folder: Folder,
    /// Fail also if there is a policy that no test decided.
    #[arg(long)]
    require_coverage: bool,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Tests; the exit code is 1 if a test failed, and 3 if the policies or the tests cannot be read.
pub(super) fn run(options: &TestOptions) -> anyhow::Result<Exit> {
    let set = load(options.folder.path(), &options.folder.local_times.iter().cloned().collect())?;
    let path = options.folder.path().join("tests.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let outcomes =
        run_tests(&set, &text).map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))?;
    let untested = untested(&set, &outcomes);
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    let value = json!({
        "tests": outcomes.iter().map(shown).collect::<Vec<_>>(),
        "passed": outcomes.len() - failed,
        "failed": failed,
        "untested": untested,
    });
    output::document(options.output, &value, &table(&outcomes, failed, &untested))?;
    let covered = untested.is_empty() || !options.require_coverage;
    Ok(if failed == 0 && covered { Exit::Ok } else { Exit::Failed })
}

fn shown(outcome: &TestOutcome) -> Value {
    json!({ "name": outcome.name, "failure": outcome.failure, "decided": outcome.decided })
}

fn table(outcomes: &[TestOutcome], failed: usize, untested: &[PolicyId]) -> String {
    let mut text = String::new();
    // INVARIANT: writing to a String cannot fail.
    for outcome in outcomes {
        let _ = match &outcome.failure {
            None => writeln!(text, "  ✓ {}", outcome.name),
            Some(failure) => writeln!(text, "  ✗ {}: {failure}", outcome.name),
        };
    }
    for policy in untested {
        let _ = writeln!(text, "  ? no test is decided by `{policy}`");
    }
    let _ = writeln!(
        text,
        "{} passed, {failed} failed, {} policies untested",
        outcomes.len() - failed,
        untested.len()
    );
    text
}
