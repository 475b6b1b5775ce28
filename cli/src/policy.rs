//! `symbolon policy`: look at a folder of policies before a program loads it.
//! Not here: what policies mean; `symbolon-policies` says that, here as in the programs.

mod lint;
mod new;
mod simulate;
mod test;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
use symbolon_identity::LocalTimeName;
use symbolon_policies::{PolicyErrors, PolicySet, Question};
use symbolon_wire::DecisionDocument;

use crate::exit::{Exit, Failure};

/// What to do with policies.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a folder of policies as a program would, and ask what a reviewer would.
    Lint(lint::LintOptions),
    /// Run the tests in a folder's `tests.json`, and tell which policies no test decided.
    Test(test::TestOptions),
    /// Ask other policies what was asked in a recorded decision.
    Simulate(simulate::SimulateOptions),
    /// Write a permit for a recorded decision, and its tests.
    New(new::NewOptions),
}

/// Runs one of them.
pub(crate) async fn run(command: PolicyCommand) -> anyhow::Result<Exit> {
    match command {
        PolicyCommand::Lint(options) => lint::run(&options),
        PolicyCommand::Test(options) => test::run(&options),
        PolicyCommand::Simulate(options) => simulate::run(&options).await,
        PolicyCommand::New(options) => new::run(&options).await,
    }
}

/// A folder of policies.
#[derive(Debug, clap::Args)]
struct Folder {
    /// The folder with the `*.cedar` files.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A name in `local_times:` of the configuration, which policies may ask for; can be repeated.
    #[arg(long = "local-time", value_name = "NAME")]
    local_times: Vec<LocalTimeName>,
}

impl Folder {
    fn load(&self) -> Result<PolicySet, PolicyErrors> {
        PolicySet::load(&self.folder, &self.local_times.iter().cloned().collect())
    }

    fn path(&self) -> &Path {
        &self.folder
    }
}

/// Loads a folder, or says what is wrong with it under the exit code for that.
fn load(folder: &Path, local_times: &BTreeSet<LocalTimeName>) -> anyhow::Result<PolicySet> {
    PolicySet::load(folder, local_times).map_err(|errors| Failure::invalid(errors.to_string()).into())
}

/// What policies were asked in a recorded decision.
fn questions(document: &DecisionDocument) -> anyhow::Result<Vec<Question>> {
    let read = |question: &Value| {
        serde_json::from_value(question.clone())
            .context("the decision was recorded by a program that asks more than this one knows")
    };
    // A gateway asks once, and keeps the question among the facts.
    let of_gateway = document.facts.get("policy").and_then(|policy| policy.get("question"));
    let recorded = document.questions.iter().chain(of_gateway.filter(|_| document.questions.is_empty()));
    let questions: Vec<Question> = recorded.map(read).collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(
        !questions.is_empty(),
        "decision {} ended before policies were asked: {}",
        document.id,
        document.reason.map_or("no reason is recorded", symbolon_identity::ReasonCode::as_str)
    );
    Ok(questions)
}

/// The names of local times that a question knows.
fn local_times(questions: &[Question]) -> BTreeSet<LocalTimeName> {
    questions.iter().flat_map(|question| question.context.local.keys().cloned()).collect()
}
