//! `symbolon policy simulate`: asks other policies what was asked in a recorded decision.
//! Not here: what was recorded, which the program that decided tells.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use symbolon_policies::{Action, Decision, DenialKind, PolicyId, PolicySet, Question};
use symbolon_wire::Outcome;

use super::{load, local_times, questions};
use crate::exit::Exit;
use crate::explain::{Asked, decision_id};
use crate::output::{self, Format};

/// Options of `symbolon policy simulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct SimulateOptions {
    /// The decision.
    #[arg(long, value_name = "ID")]
    decision: String,
    /// The folder with the other policies.
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    #[command(flatten)]
    asked: Asked,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// What the other policies say.
#[derive(Debug, Serialize)]
struct Simulated {
    decision: String,
    before: Outcome,
    after: Outcome,
    change: Change,
    questions: Vec<Answered>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    /// It would be allowed and was not.
    Gained,
    /// It was allowed and would not be.
    Lost,
    /// It would end alike.
    Unchanged,
}

/// What they say to one question.
#[derive(Debug, Serialize)]
struct Answered {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    permitted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    denial: Option<DenialKind>,
    policies: Vec<PolicyId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    smallest_change: Vec<String>,
}

/// Simulates; the exit code is that of the decision that would be taken: 0 allowed, 2 denied, 4 undetermined.
pub(super) async fn run(options: &SimulateOptions) -> anyhow::Result<Exit> {
    let document = options.asked.fetch(&decision_id(&options.decision)?).await?;
    let questions = questions(&document)?;
    let set = load(&options.policies, &local_times(&questions))?;
    let answers: Vec<Answered> = questions.iter().map(|question| answer(&set, question)).collect();
    let (exit, after) = if answers.iter().all(|answer| answer.permitted) {
        (Exit::Ok, Outcome::Allowed)
    } else if answers.iter().any(|answer| answer.denial == Some(DenialKind::Error)) {
        (Exit::Undetermined, Outcome::Refused)
    } else {
        (Exit::Denied, Outcome::Denied)
    };
    let change = match (document.outcome == Outcome::Allowed, after == Outcome::Allowed) {
        (false, true) => Change::Gained,
        (true, false) => Change::Lost,
        (true, true) | (false, false) => Change::Unchanged,
    };
    let simulated = Simulated {
        decision: document.id.to_string(),
        before: document.outcome,
        after,
        change,
        questions: answers,
    };
    output::document(options.output, &simulated, &table(&simulated))?;
    Ok(exit)
}

fn answer(set: &PolicySet, question: &Question) -> Answered {
    let scope = match &question.action {
        Action::Issue { scope, .. } | Action::Exchange { scope, .. } | Action::Impersonate { scope, .. } => {
            scope.as_ref().map(ToString::to_string)
        }
        Action::Operate { .. } => None,
        Action::Call { request, .. } => Some(format!("{} {}", request.method, request.path)),
    };
    let action = question.action.name();
    match set.decide(question) {
        Decision::Permit(permit) => Answered {
            action,
            scope,
            permitted: true,
            denial: None,
            policies: permit.policies().to_vec(),
            smallest_change: Vec::new(),
        },
        Decision::Denial(denial) => Answered {
            action,
            scope,
            permitted: false,
            denial: Some(denial.kind()),
            policies: denial.policies().to_vec(),
            smallest_change: set.explain(question).smallest_change().unwrap_or_default(),
        },
    }
}

fn table(simulated: &Simulated) -> String {
    let word = |outcome: Outcome| match outcome {
        Outcome::Allowed => "allowed",
        Outcome::Denied => "denied",
        Outcome::Refused => "refused",
    };
    let change = match simulated.change {
        Change::Gained => "GAINED",
        Change::Lost => "LOST",
        Change::Unchanged => "UNCHANGED",
    };
    let mut text = String::new();
    // INVARIANT: writing to a String cannot fail.
    let (before, after) = (word(simulated.before), word(simulated.after));
    let _ = writeln!(text, "{change}  {}   before {before}, now {after}", simulated.decision);
    for answer in &simulated.questions {
        let mark = if answer.permitted { "✓" } else { "✗" };
        let ids: Vec<&str> = answer.policies.iter().map(PolicyId::as_str).collect();
        let by =
            if ids.is_empty() { "no policy permits it".to_owned() } else { format!("by {}", ids.join(", ")) };
        let scope = answer.scope.as_deref().unwrap_or_default();
        let _ = writeln!(text, "  {mark} {} {scope}   {by}", answer.action);
        if !answer.smallest_change.is_empty() {
            let _ =
                writeln!(text, "      would be allowed if   {}", answer.smallest_change.join("   and   "));
        }
    }
    text
}
