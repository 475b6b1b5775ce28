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

// Where the samples and units of `deploy/` put them: each program in the folder of its own user.
pub(crate) const BROKER_SOCKET: &str = "/run/symbolon/admin.sock";
const GATEWAY_SOCKET: &str = "/run/symbolon-gateway/admin.sock";

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
    /// The broker's admin socket [default: /run/symbolon/admin.sock].
    #[arg(long, value_name = "SOCKET")]
    broker_admin: Option<PathBuf>,
    /// The gateway's admin socket [default: /run/symbolon-gateway/admin.sock].
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
    output::document(options.output, &document, &render::page(&visible(&document)?))?;
    Ok(if document.outcome == Outcome::Allowed { Exit::Ok } else { Exit::Denied })
}

/// The document with every text of it safe to show: some of them were sent by strangers.
fn visible(document: &DecisionDocument) -> anyhow::Result<DecisionDocument> {
    fn each(value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(symbolon_jws::visible(&text)),
            Value::Array(items) => items.into_iter().map(each).collect(),
            Value::Object(members) => {
                let members = members.into_iter();
                members.map(|(name, member)| (symbolon_jws::visible(&name), each(member))).collect()
            }
            other => other,
        }
    }
    Ok(serde_json::from_value(each(serde_json::to_value(document)?))?)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_strangers_sent_does_not_reach_the_terminal_as_it_is() {
        let evil = "a\u{202e}\u{9b}2J\nALLOWED\r\u{1b}[1m";
        let document: DecisionDocument = serde_json::from_value(json!({
            "id": "g-00000000000000000000000000", "time": 1_700_000_000, "outcome": "refused", "reason": "malformed",
            "detail": evil, "workload": evil, "target": evil, "policies": [evil],
            "near_misses": [{"policy": evil, "failed": [{"condition": evil, "expected": evil, "actual": evil}]}],
            "facts": {"request": evil, evil: [evil]}
        }))
        .unwrap();
        let page = render::page(&visible(&document).unwrap());
        assert!(!page.contains(['\u{202e}', '\u{9b}', '\u{1b}', '\r']), "{page:?}");
        assert!(!page.lines().any(|line| line.starts_with("ALLOWED")), "{page}");
        assert!(page.contains("a\\u{202e}"), "{page}");
    }
}
