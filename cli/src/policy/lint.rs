//! `symbolon policy lint`: what a program would refuse, and what a reviewer would ask.
//! Not here: the questions themselves.

use std::fmt::Write as _;

use serde_json::{Value, json};
use symbolon_policies::{Finding, PolicyError};

use super::Folder;
use crate::exit::Exit;
use crate::output::{self, Format};

/// Options of `symbolon policy lint`.
#[derive(Debug, clap::Args)]
pub(crate) struct LintOptions {
    #[command(flatten)]
    folder: Folder,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Lints; the exit code is 3 if a program would refuse the folder.
pub(super) fn run(options: &LintOptions) -> anyhow::Result<Exit> {
    match options.folder.load() {
        Ok(set) => {
            let findings = set.lint();
            let value = json!({ "valid": true, "policies": set.len(), "errors": [], "warnings": findings });
            output::document(options.output, &value, &table(set.len(), &findings))?;
            Ok(Exit::Ok)
        }
        Err(errors) => {
            let all: Vec<Value> = errors.iter().map(error).collect();
            let value = json!({ "valid": false, "policies": 0, "errors": all, "warnings": [] });
            output::document(options.output, &value, &errors.to_string())?;
            Ok(Exit::Invalid)
        }
    }
}

fn error(error: &PolicyError) -> Value {
    json!({
        "file": error.file,
        "line": error.position.map(|position| position.line),
        "column": error.position.map(|position| position.column),
        "message": error.problem.to_string(),
    })
}

fn table(policies: usize, findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { rule, file, line, column, message, .. } in findings {
        let place =
            [file.clone(), line.map(|line| line.to_string()), column.map(|column| column.to_string())];
        let place: Vec<String> = place.into_iter().flatten().collect();
        // INVARIANT: writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}{}warning: {message} ({})",
            place.join(":"),
            if place.is_empty() { "" } else { ": " },
            rule.as_str()
        );
    }
    let _ = writeln!(text, "{policies} policies are valid, {} warnings", findings.len());
    text
}
