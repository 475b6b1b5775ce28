//! What the doctor found: one line a check, for people and for programs.
//! Not here: the checks. Every text that comes in is made safe to show; secrets must not come in at all.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use symbolon_jws::visible;

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// Indented JSON.
    Json,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    /// It works, and may not be what is wanted.
    Warning,
    Failed,
    /// It could not be checked, because something else failed or because there is nothing to check.
    Skipped,
}

/// How it all ended; the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Ok,
    Failed,
    /// The broker cannot be reached, whatever else is wrong.
    BrokerUnreachable,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Check {
    #[serde(rename = "check")]
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) found: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Value>,
}

impl Check {
    fn new(name: &str, verdict: Verdict, found: &str, next: Option<&str>) -> Self {
        let next = next.map(visible);
        Self { name: visible(name), verdict, found: visible(found), next, details: None }
    }

    pub(crate) fn ok(name: &str, found: impl AsRef<str>) -> Self {
        Self::new(name, Verdict::Ok, found.as_ref(), None)
    }

    pub(crate) fn skipped(name: &str, found: impl AsRef<str>) -> Self {
        Self::new(name, Verdict::Skipped, found.as_ref(), None)
    }

    /// What may not be wanted, and what to do if it is not.
    pub(crate) fn warning(name: &str, found: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Self::new(name, Verdict::Warning, found.as_ref(), Some(next.as_ref()))
    }

    /// What does not work, and what to do next.
    pub(crate) fn failed(name: &str, found: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Self::new(name, Verdict::Failed, found.as_ref(), Some(next.as_ref()))
    }

    /// With something for programs.
    pub(crate) fn with(self, details: Value) -> Self {
        Self { details: Some(safe(details)), ..self }
    }
}

/// The same with every text safe to show.
fn safe(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(visible(&text)),
        Value::Array(items) => items.into_iter().map(safe).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, member)| (visible(&name), safe(member))).collect()
        }
        other => other,
    }
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    pub(crate) checks: Vec<Check>,
}

impl Report {
    pub(crate) const fn new(broker_is_reached: bool) -> Self {
        let outcome = if broker_is_reached { Outcome::Ok } else { Outcome::BrokerUnreachable };
        Self { outcome, checks: Vec::new() }
    }

    pub(crate) fn extend(&mut self, checks: impl IntoIterator<Item = Check>) {
        self.checks.extend(checks);
        if self.outcome == Outcome::Ok && self.count(Verdict::Failed) > 0 {
            self.outcome = Outcome::Failed;
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// The report as text.
    pub(crate) fn text(&self, form: Form) -> String {
        match form {
            // INVARIANT: a report is texts and numbers, which always become JSON.
            Form::Json => serde_json::to_string_pretty(self).unwrap_or_default(),
            Form::Table => self.table(),
        }
    }

    fn table(&self) -> String {
        let width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
        let mut table = String::new();
        for Check { name, verdict, found, next, .. } in &self.checks {
            // INVARIANT: writing to a String cannot fail.
            let _ = writeln!(table, "{:<7}  {name:<width$}  {found}", verdict.word());
            if let Some(next) = next {
                let _ = writeln!(table, "{:<7}  {:<width$}  -> {next}", "", "");
            }
        }
        let (failed, warnings) = (self.count(Verdict::Failed), self.count(Verdict::Warning));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_decides_unless_the_broker_is_away() {
        for (reached, checks, outcome) in [
            (true, vec![Check::ok("a", "x"), Check::warning("b", "x", "y")], Outcome::Ok),
            (true, vec![Check::failed("a", "x", "y")], Outcome::Failed),
            (false, vec![Check::failed("a", "x", "y")], Outcome::BrokerUnreachable),
        ] {
            let mut report = Report::new(reached);
            report.extend(checks);
            assert_eq!(report.outcome, outcome);
        }
    }

    #[test]
    fn a_table_has_a_line_a_check_and_one_for_what_to_do() {
        let mut report = Report::new(true);
        report.extend([Check::ok("key", "fine"), Check::failed("clock.skew", "9 s\u{1b}[2J", "set it")]);
        let expected = "ok       key         fine\n\
                        FAILED   clock.skew  9 s\\u{1b}[2J\n\
                        \x20                    -> set it\n\
                        2 checks: 1 failed, 0 warnings";
        assert_eq!(report.text(Form::Table), expected);
    }
}
