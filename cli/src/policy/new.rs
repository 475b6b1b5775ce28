//! `symbolon policy new`: a permit for a recorded decision, its tests, and who else it would admit.
//! Not here: whether that is wise; a person reads it before it is loaded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};
use symbolon_identity::Origin;
use symbolon_policies::{Draft, DraftNotes, PolicyFile, PolicySet, Question, run_tests};
use symbolon_wire::{DecisionDocument, Outcome, RecentDecision};

use super::{local_times, questions};
use crate::exit::{Exit, Failure};
use crate::explain::{Asked, decision_id};
use crate::output::{self, Format};

/// Options of `symbolon policy new`.
#[derive(Debug, clap::Args)]
pub(crate) struct NewOptions {
    /// The decision.
    #[arg(long, value_name = "ID")]
    from: String,
    /// The `@id` of the policy; by default it is made of the workload and the target.
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Who can change the policy.
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    /// Write the policy into this folder and add its tests to the folder's `tests.json`, instead of printing them.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    #[command(flatten)]
    asked: Asked,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Whom the policy would admit beside the one it was written for.
#[derive(Debug, Serialize)]
struct Admitted {
    workload: String,
    target: String,
    decisions: usize,
}

/// Writes; the exit code is 0, also if others would be admitted.
pub(super) async fn run(options: &NewOptions) -> anyhow::Result<Exit> {
    let document = options.asked.fetch(&decision_id(&options.from)?).await?;
    let questions = questions(&document)?;
    let id = options.id.clone().unwrap_or_else(|| name(&document));
    let reason = format!("written for decision {}", document.id);
    let notes = DraftNotes { id: &id, owner: options.owner.as_deref(), reason: &reason };
    let draft = Draft::of(&questions, notes)?.context("the decision holds no question")?;
    let file = PolicyFile::new(&format!("{id}.cedar"), &draft.policy);
    let set = PolicySet::from_files(vec![file], &local_times(&questions))
        .map_err(|errors| Failure::invalid(format!("{errors}\n{}", draft.policy)))?;
    for outcome in run_tests(&set, &serde_json::to_string(&draft.tests)?)? {
        if let Some(failure) = outcome.failure {
            return Err(
                Failure::invalid(format!("the draft does not pass `{}`: {failure}", outcome.name)).into()
            );
        }
    }
    let (looked_at, others) = others(options, &document, &set).await?;
    if let Some(folder) = &options.into {
        write(folder, &id, &draft)?;
    }
    let value = json!({
        "id": id, "policy": draft.policy, "tests": draft.tests,
        "recent_decisions": looked_at, "would_also_admit": others,
    });
    output::document(options.output, &value, &page(options, &draft, looked_at, &others)?)?;
    Ok(Exit::Ok)
}

/// `payroll-for-unix-uid-1000`, as far as an `@id` can say it.
fn name(document: &DecisionDocument) -> String {
    let path = document.workload.as_deref().unwrap_or("nobody").trim_start_matches("spiffe://");
    let path = path.split_once('/').map_or(path, |(_, path)| path);
    let text = format!("{}-for-{path}", document.target.as_deref().unwrap_or("target"));
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
    text.chars().map(allowed).take(128).collect()
}

/// The other callers whose recent requests were denied and would be permitted by the new policy alone.
async fn others(
    options: &NewOptions,
    document: &DecisionDocument,
    set: &PolicySet,
) -> anyhow::Result<(usize, Vec<Admitted>)> {
    if document.id.origin() != Origin::Broker {
        return Ok((0, Vec::new()));
    }
    let recent = options.asked.recent(document.id.origin()).await?;
    let mut found = BTreeMap::<(String, String), usize>::new();
    let itself = |one: &RecentDecision| {
        Some(&one.workload) == document.workload.as_ref() && Some(&one.target) == document.target.as_ref()
    };
    for decision in recent.iter().filter(|one| one.outcome == Outcome::Denied && !itself(one)) {
        if admits(set, &decision.questions) {
            *found.entry((decision.workload.clone(), decision.target.clone())).or_default() += 1;
        }
    }
    let admitted = |((workload, target), decisions)| Admitted { workload, target, decisions };
    Ok((recent.len(), found.into_iter().map(admitted).collect()))
}

fn admits(set: &PolicySet, questions: &[Value]) -> bool {
    let permitted = |question: &Value| {
        serde_json::from_value::<Question>(question.clone())
            .is_ok_and(|question| set.decide(&question).is_permit())
    };
    !questions.is_empty() && questions.iter().all(permitted)
}

/// The policy in a file of its own, which must not exist; its tests behind those that are there.
fn write(folder: &Path, id: &str, draft: &Draft) -> anyhow::Result<()> {
    let tests = folder.join("tests.json");
    let mut all: Vec<Value> = match std::fs::read_to_string(&tests) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", tests.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("reading {}", tests.display())),
    };
    let path = folder.join(format!("{id}.cedar"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| format!("creating {}", path.display()))?;
    file.write_all(draft.policy.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    all.extend(draft.tests.iter().cloned());
    // Whole or not at all: a broken `tests.json` would hide all other tests.
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(beside, "{}", serde_json::to_string_pretty(&all)?)?;
    beside.persist(&tests).with_context(|| format!("writing {}", tests.display()))?;
    Ok(())
}

fn page(
    options: &NewOptions,
    draft: &Draft,
    looked_at: usize,
    others: &[Admitted],
) -> anyhow::Result<String> {
    let mut text = draft.policy.clone();
    match &options.into {
        Some(folder) => writeln!(text, "// written into {}", folder.display())?,
        None => writeln!(text, "// tests.json:\n{}", serde_json::to_string_pretty(&draft.tests)?)?,
    }
    if others.is_empty() {
        writeln!(text, "// would admit nobody else among the last {looked_at} recorded decisions")?;
    }
    for Admitted { workload, target, decisions } in others {
        writeln!(text, "// would also admit {workload} to {target}: {decisions} recent denials")?;
    }
    Ok(text)
}
