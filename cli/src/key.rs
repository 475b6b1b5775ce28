//! `symbolon key`: shows and changes the broker's signing keys through its admin socket.
//! Not here: making keys, and when they change by themselves; the broker does both.

use std::path::PathBuf;

use symbolon_wire::{KeyList, KeyProblem, paths};

use crate::cli::Running;
use crate::exit::{Exit, Failure};
use crate::explain::BROKER_SOCKET;
use crate::http::{Answer, Call, Place};
use crate::output::{self, Format};

mod render;

/// A command about signing keys. Each prints the keys as they are afterwards.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Show the signing keys: where each stands, and what happens to it next.
    List(BrokerOptions),
    /// Publish the next key now; it signs once every verifier has had the time to fetch it.
    Rotate(RotateOptions),
    /// Let a key sign no more; its tokens stay valid.
    Retire(NamedOptions),
    /// Emergency: distrust a key and all its tokens at once; a fresh key signs.
    #[command(
        after_help = "Whoever could read one key of a broker could read them all: look at `symbolon key list` and revoke each."
    )]
    Revoke(NamedOptions),
}

/// Which broker, and how to print.
#[derive(Debug, clap::Args)]
pub(crate) struct BrokerOptions {
    /// The broker's admin socket.
    #[arg(long, value_name = "SOCKET")]
    broker_admin: Option<PathBuf>,
    #[command(flatten)]
    running: Running,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Options of `symbolon key rotate`.
#[derive(Debug, clap::Args)]
pub(crate) struct RotateOptions {
    /// Only the key of this algorithm, such as ES256; without it the key of each.
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    #[command(flatten)]
    broker: BrokerOptions,
}

/// Options of a command about one key.
#[derive(Debug, clap::Args)]
pub(crate) struct NamedOptions {
    /// The key's id, as `symbolon key list` and the header of its tokens show it.
    // A thumbprint may begin with a hyphen.
    #[arg(value_name = "KID", allow_hyphen_values = true)]
    key: String,
    #[command(flatten)]
    broker: BrokerOptions,
}

/// Carries a command out.
pub(crate) async fn run(command: KeyCommand) -> anyhow::Result<Exit> {
    let (broker, path, form) = match command {
        KeyCommand::List(broker) => {
            let place = broker.place();
            return show(&Call::get(&place, paths::KEYS).send().await?, &place, &broker);
        }
        KeyCommand::Rotate(RotateOptions { algorithm, broker }) => {
            let form = algorithm.map(|name| ("algorithm", name)).into_iter().collect();
            (broker, format!("{}/rotate", paths::KEYS), form)
        }
        KeyCommand::Retire(NamedOptions { key, broker }) => (broker, about(&key, "retire")?, Vec::new()),
        KeyCommand::Revoke(NamedOptions { key, broker }) => (broker, about(&key, "revoke")?, Vec::new()),
    };
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let place = broker.place();
    show(&Call::post_form(&place, &path, &form).send().await?, &place, &broker)
}

/// The path of a change to one key. What stands in it is an id and nothing that could be another path.
fn about(key: &str, change: &str) -> anyhow::Result<String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if key.is_empty() || !key.chars().all(is_plain) {
        return Err(Failure::usage(format!("`{}` is not a key id", key.escape_debug())).into());
    }
    Ok(format!("{}/{key}/{change}", paths::KEYS))
}

fn show(answer: &Answer, place: &Place, broker: &BrokerOptions) -> anyhow::Result<Exit> {
    if answer.status.is_success() {
        let list: KeyList = answer.json()?;
        output::document(broker.output, &list, &render::table(&list))?;
        return Ok(Exit::Ok);
    }
    let status = answer.status.as_u16();
    let Ok(KeyProblem { code, error }) = answer.json() else {
        return Err(Failure::unavailable(format!("{place} answered {status}")).into());
    };
    let message = format!("{error} ({code})");
    Err(match status {
        400 => Failure::usage(message),
        403 => Failure::denied(message),
        503 => Failure::unavailable(message),
        _ => anyhow::bail!(message),
    }
    .into())
}

impl BrokerOptions {
    fn place(&self) -> Place {
        let in_folder = || self.running.state_dir().map(|folder| folder.join("admin.sock"));
        Place::Unix(self.broker_admin.clone().or_else(in_folder).unwrap_or_else(|| BROKER_SOCKET.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_id_gets_into_the_path() {
        assert_eq!(about("-a_B9", "retire").unwrap(), "/v1/keys/-a_B9/retire");
        for bad in ["", "../decisions", "a/b", "a?b", "a b", "a\r\nb", "ä"] {
            assert!(about(bad, "retire").is_err(), "{bad}");
        }
    }
}
