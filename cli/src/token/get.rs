//! `symbolon token get`: asks the running sidecar's local token endpoint.
//! Not here: asking the broker, which needs evidence.

use serde_json::Value;

use crate::cli::Running;
use crate::dev::ready::Ready;
use crate::exit::{Exit, Failure};
use crate::http::{Call, Place};
use crate::output::{self, Format};

const DEFAULT_SIDECAR: &str = "http://127.0.0.1:8710";

/// Options of `symbolon token get`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A token of a sidecar is bound to its key: without the sidecar it opens nothing.\n\nExample:\n  symbolon token get --upstream notes | symbolon token inspect\n  symbolon token get --upstream notes --sidecar unix:/run/symbolon-sidecar/token.sock"
)]
pub(crate) struct GetOptions {
    /// The upstream of the sidecar whose token is wanted.
    #[arg(long, value_name = "NAME")]
    upstream: String,
    /// Where the sidecar's endpoints are: a base URL, or `unix:/path` [default: <http://127.0.0.1:8710>].
    #[arg(long, value_name = "PLACE")]
    sidecar: Option<String>,
    #[command(flatten)]
    running: Running,
    /// Form of the output; `table` is the bare token.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Gets the token and prints it.
pub(crate) async fn run(options: &GetOptions) -> anyhow::Result<Exit> {
    let base = sidecar(options)?;
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("upstream", &options.upstream)
        .finish();
    let path = format!("{}?{query}", symbolon_wire::paths::SIDECAR_TOKEN);
    let call = match base.strip_prefix("unix:") {
        Some(socket) if socket.starts_with('/') => Call::get(&Place::Unix(socket.into()), &path),
        Some(_) => return Err(Failure::usage("--sidecar unix:PATH needs an absolute path").into()),
        None => Call::get_url(&format!("{}{path}", base.trim_end_matches('/')))?,
    };
    let answer = call.header(symbolon_wire::header::SYMBOLON_REQUEST, "true").send().await?;
    let body: Value = answer.json()?;
    if answer.status.is_success() {
        output::document(options.output, &body, text(&body, "access_token"))?;
        return Ok(Exit::Ok);
    }
    let (code, title) = (text(&body, "code"), text(&body, "title"));
    let decision = body.get("decision_id").and_then(Value::as_str);
    let decision = decision.map_or_else(String::new, |id| format!(" (symbolon explain {id})"));
    let message = format!("the sidecar answered {}: {code}: {title}{decision}", answer.status.as_u16());
    Err(match answer.status.as_u16() {
        401 | 403 => Failure::denied(message),
        503 => Failure::unavailable(message),
        _ => anyhow::bail!(message),
    }
    .into())
}

fn sidecar(options: &GetOptions) -> anyhow::Result<String> {
    if let Some(url) = &options.sidecar {
        return Ok(url.clone());
    }
    match options.running.state_dir() {
        Some(folder) => Ok(Ready::read(&folder)?.sidecar.url),
        None => Ok(DEFAULT_SIDECAR.to_owned()),
    }
}

fn text<'a>(body: &'a Value, member: &str) -> &'a str {
    body.get(member).and_then(Value::as_str).unwrap_or_default()
}
