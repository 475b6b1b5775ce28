//! `symbolon explain`: asks the admin socket of the program that decided, and prints why.
//! Not here: the decision's analysis, which the program makes when it is asked.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;
use symbolon_identity::{DecisionId, Origin, ReasonCode};
use symbolon_wire::{DecisionDocument, Outcome, RecentDecision, paths};

use crate::cli::Running;
use crate::exit::{Exit, Failure};
use crate::http::{Call, Place};
use crate::output::{self, Format};

mod render;

const BROKER_SOCKET: &str = "/run/symbolon/admin.sock";
const GATEWAY_SOCKET: &str = "/run/symbolon/gateway-admin.sock";

/// Options of `symbolon explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  symbolon explain b-01M0ABCDEFGHJKMNPQRSTVWXYZ\n  curl -s http://127.0.0.1:8712/payroll/1 | symbolon explain -\n  symbolon explain proof_replayed"
)]
pub(crate) struct ExplainOptions {
    /// A decision id, a reason code, or `-` to read a refusal from standard input.
    id: String,
    #[command(flatten)]
    asked: Asked,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// The programs that are asked about their decisions.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// The broker's admin socket.
    #[arg(long, value_name = "SOCKET")]
    broker_admin: Option<PathBuf>,
    /// The gateway's admin socket.
    #[arg(long, value_name = "SOCKET")]
    gateway_admin: Option<PathBuf>,
    #[command(flatten)]
    running: Running,
}

/// Explains; the exit code is 0 for an allowed request and 2 for any other.
pub(crate) async fn run(options: ExplainOptions) -> anyhow::Result<Exit> {
    if let Ok(code) = options.id.parse::<ReasonCode>() {
        output::document(
            options.output,
            &serde_json::json!({"code": code, "advice": code.advice()}),
            code.advice(),
        )?;
        return Ok(Exit::Ok);
    }
    let id = if options.id == "-" { id_from_stdin()? } else { decision_id(&options.id)? };
    let document = options.asked.fetch(&id).await?;
    output::document(options.output, &document, &render::page(&document))?;
    Ok(if document.outcome == Outcome::Allowed { Exit::Ok } else { Exit::Denied })
}

impl Asked {
    /// A decision, from the program that took it.
    pub(crate) async fn fetch(&self, id: &DecisionId) -> anyhow::Result<DecisionDocument> {
        let place = Place::Unix(self.socket(id.origin()));
        let answer = Call::get(&place, &format!("{}/{id}", paths::DECISIONS)).send().await?;
        match answer.status.as_u16() {
            200 => answer.json(),
            404 => anyhow::bail!("{place} has no decision `{id}`"),
            status => Err(Failure::unavailable(format!("{place} answered {status}")).into()),
        }
    }

    /// The latest decisions of a program that keeps them.
    pub(crate) async fn recent(&self, origin: Origin) -> anyhow::Result<Vec<RecentDecision>> {
        let place = Place::Unix(self.socket(origin));
        let answer = Call::get(&place, paths::DECISIONS).send().await?;
        match answer.status.as_u16() {
            200 => answer.json(),
            status => Err(Failure::unavailable(format!("{place} answered {status}")).into()),
        }
    }

    fn socket(&self, origin: Origin) -> PathBuf {
        let (named, file, default) = match origin {
            Origin::Broker => (&self.broker_admin, "admin.sock", BROKER_SOCKET),
            Origin::Gateway => (&self.gateway_admin, "gateway-admin.sock", GATEWAY_SOCKET),
        };
        let in_folder = || self.running.state_dir().map(|folder| folder.join(file));
        named.clone().or_else(in_folder).unwrap_or_else(|| default.into())
    }
}

fn id_from_stdin() -> anyhow::Result<DecisionId> {
    let mut text = String::new();
    std::io::stdin().lock().take(64 * 1024).read_to_string(&mut text).context("reading standard input")?;
    let text = text.trim();
    let body: Value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let id = body.get("decision_id").and_then(Value::as_str).or_else(|| body.as_str());
    decision_id(id.context("the answer on standard input has no `decision_id`")?)
}

/// A decision id of the command line.
pub(crate) fn decision_id(text: &str) -> anyhow::Result<DecisionId> {
    DecisionId::parse(text).map_err(|error| Failure::usage(error.to_string()).into())
}
