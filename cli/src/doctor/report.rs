//! What was found at the broker's side, in the form of the sidecar's report.
//! Not here: the checks. Every text is made safe to show.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use symbolon_jws::visible;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Ok,
    /// It works, and may not be what is wanted.
    Warning,
    Failed,
    /// There was nothing to check.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    #[serde(rename = "check")]
    name: String,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// `ok` or `failed`.
    outcome: &'static str,
    checks: Vec<Check>,
}

impl Check {
    pub(super) fn new(name: impl AsRef<str>, verdict: Verdict, found: impl AsRef<str>) -> Self {
        let (name, found) = (visible(name.as_ref()), visible(found.as_ref()));
        Self { name, verdict, found, next: None, details: None }
    }

    /// With what to do next.
    pub(super) fn next(self, next: impl AsRef<str>) -> Self {
        Self { next: Some(visible(next.as_ref())), ..self }
    }

    /// With something for programs.
    pub(super) fn with(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }
}

impl Report {
    pub(super) fn of(checks: Vec<Check>, is_taken: bool) -> Self {
        Self { outcome: if is_taken { "ok" } else { "failed" }, checks }
    }

    /// The table for people.
    pub(super) fn table(&self) -> String {
        let width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
        let mut table = String::new();
        for Check { name, verdict, found, next, .. } in &self.checks {
            // INVARIANT: writing to a String cannot fail.
            let _ = writeln!(table, "{:<7}  {name:<width$}  {found}", verdict.word());
            if let Some(next) = next {
                let _ = writeln!(table, "{:<7}  {:<width$}  -> {next}", "", "");
            }
        }
        let count = |verdict| self.checks.iter().filter(|check| check.verdict == verdict).count();
        let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
        let _ = write!(table, "{} checks: {failed} failed, {warnings} warnings", self.checks.len());
        table
    }
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}
